package volume

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// keyID is the kernel's one-way digest of a key. It is not secret.
type keyID [unix.FSCRYPT_KEY_IDENTIFIER_SIZE]byte

// ioctl calls the kernel with a pointer on a directory.
func ioctl(dir string, request uintptr, arg unsafe.Pointer) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(arg))
	if errno != 0 {
		return errno
	}
	return nil
}

// addKey gives the file system that dir lies on the key. The copy that the
// call needs is cleared.
func addKey(dir string, key []byte) (keyID, error) {
	var arg struct {
		unix.FscryptAddKeyArg
		raw [KeySize]byte
	}
	defer func() { clear(arg.raw[:]) }()
	arg.Key_spec.Type = unix.FSCRYPT_KEY_SPEC_TYPE_IDENTIFIER
	arg.Raw_size = uint32(copy(arg.raw[:], key))
	if err := ioctl(dir, unix.FS_IOC_ADD_ENCRYPTION_KEY, unsafe.Pointer(&arg)); err != nil {
		return keyID{}, fmt.Errorf("add key: %w", err)
	}
	return keyID(arg.Key_spec.U[:unix.FSCRYPT_KEY_IDENTIFIER_SIZE]), nil
}

// removeKey takes the key from the file system and says whether files that
// depend on it are still in use. A key that is not there is removed.
func removeKey(dir string, id keyID) (busy bool, err error) {
	arg := unix.FscryptRemoveKeyArg{Key_spec: specOf(id)}
	err = ioctl(dir, unix.FS_IOC_REMOVE_ENCRYPTION_KEY_ALL_USERS, unsafe.Pointer(&arg))
	if errors.Is(err, unix.ENOKEY) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("remove key: %w", err)
	}
	return arg.Removal_status_flags&(unix.FSCRYPT_KEY_REMOVAL_STATUS_FLAG_FILES_BUSY|unix.FSCRYPT_KEY_REMOVAL_STATUS_FLAG_OTHER_USERS) != 0, nil
}

func keyStatus(dir string, id keyID) (uint32, error) {
	arg := unix.FscryptGetKeyStatusArg{Key_spec: specOf(id)}
	if err := ioctl(dir, unix.FS_IOC_GET_ENCRYPTION_KEY_STATUS, unsafe.Pointer(&arg)); err != nil {
		return 0, fmt.Errorf("key status: %w", err)
	}
	return arg.Status, nil
}

func specOf(id keyID) unix.FscryptKeySpecifier {
	spec := unix.FscryptKeySpecifier{Type: unix.FSCRYPT_KEY_SPEC_TYPE_IDENTIFIER}
	copy(spec.U[:], id[:])
	return spec
}

// policy is the key that a directory is encrypted with; zero if it is missing
// or not encrypted.
func policy(dir string) (keyID, error) {
	arg := unix.FscryptGetPolicyExArg{Size: uint64(unsafe.Sizeof(unix.FscryptPolicyV2{}))}
	err := ioctl(dir, unix.FS_IOC_GET_ENCRYPTION_POLICY_EX, unsafe.Pointer(&arg))
	if errors.Is(err, unix.ENODATA) || errors.Is(err, os.ErrNotExist) {
		return keyID{}, nil
	}
	if err != nil {
		return keyID{}, fmt.Errorf("policy of %s: %w", dir, err)
	}
	v2 := (*unix.FscryptPolicyV2)(unsafe.Pointer(&arg.Policy))
	if v2.Version != unix.FSCRYPT_POLICY_V2 {
		return keyID{}, fmt.Errorf("policy of %s has version %d", dir, v2.Version)
	}
	return v2.Master_key_identifier, nil
}

// setPolicy encrypts an empty directory, now and for good.
func setPolicy(dir string, id keyID) error {
	arg := unix.FscryptPolicyV2{
		Version:                   unix.FSCRYPT_POLICY_V2,
		Contents_encryption_mode:  unix.FSCRYPT_MODE_AES_256_XTS,
		Filenames_encryption_mode: unix.FSCRYPT_MODE_AES_256_CTS,
		Flags:                     unix.FSCRYPT_POLICY_FLAGS_PAD_32, Master_key_identifier: id,
	}
	if err := ioctl(dir, unix.FS_IOC_SET_ENCRYPTION_POLICY, unsafe.Pointer(&arg)); err != nil {
		return fmt.Errorf("encrypt %s: %w", dir, err)
	}
	return nil
}
