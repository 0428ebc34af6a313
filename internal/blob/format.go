package blob

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
)

// A file is a header and chunks.
//
//	header = magic ‖ wrap(file key ‖ plaintext size), additional data: magic ‖ scope directory ‖ digest
//	chunk  = seal(≤ 64 KiB of plaintext),              additional data: index (8 bytes) ‖ 1 for the last, else 0
//
// The header is written last, when digest and size are known: it binds the file
// to its scope and its name before any content is read. The last flag (as in
// the STREAM construction) and the size keep whole chunks from being cut off or
// appended, the index keeps them from changing places. An empty blob has one
// empty chunk.
const (
	magic      = "strmblob\x00\x00\x00\x01"
	chunkSize  = 64 << 10
	overhead   = 12 + 16 // nonce and tag of one sealing
	headerSize = int64(len(magic) + keySize + 8 + overhead)
)

func chunks(size int64) int64 {
	return max(1, (size+chunkSize-1)/chunkSize)
}

// fileSize is the exact length of a file that holds size bytes.
func fileSize(size int64) int64 {
	return headerSize + size + chunks(size)*overhead
}

func chunkData(index int64, last bool) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(index))
	if last {
		return append(b, 1)
	}
	return append(b, 0)
}

func (k scopeKeys) headerData(digest string) []byte {
	return []byte(magic + "\x00" + k.dir + "\x00" + digest)
}

func (k scopeKeys) sealHeader(fileKey []byte, ref Ref) []byte {
	plain := binary.BigEndian.AppendUint64(append([]byte{}, fileKey...), uint64(ref.Size))
	return k.wrap.Seal([]byte(magic), nil, plain, k.headerData(ref.SHA256))
}

func (k scopeKeys) openHeader(header []byte, digest string) (cipher.AEAD, int64, error) {
	if int64(len(header)) != headerSize || string(header[:len(magic)]) != magic {
		return nil, 0, fmt.Errorf("%w: not a blob file", ErrCorrupt)
	}
	plain, err := k.wrap.Open(nil, nil, header[len(magic):], k.headerData(digest))
	if err != nil {
		return nil, 0, fmt.Errorf("%w: header", ErrCorrupt)
	}
	aead, err := newAEAD(plain[:keySize])
	if err != nil {
		return nil, 0, err
	}
	return aead, int64(binary.BigEndian.Uint64(plain[keySize:])), nil
}

func newFileKey() (cipher.AEAD, []byte, error) {
	key := make([]byte, keySize)
	rand.Read(key) // never fails: it ends the program instead
	aead, err := newAEAD(key)
	return aead, key, err
}
