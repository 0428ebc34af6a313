// Package image makes the platform's OCI images: from a recipe (data under
// images/) a Debian root file system as a single layer, and from such a base
// and an app's files the image of a release.
//
// What it writes is an OCI image layout in one tar file, byte for byte the
// same for the same packages, recipe and date: entries sorted, times fixed,
// no host state. No file in an image is setuid or setgid, and every image says
// in its labels which recipe and which packages it was made of, so that its
// bill of materials can be written from the image alone.
//
// The CLI's installer calls Build; internal/build calls Append. Archives are
// handed to a driver with driver.ImportImage.
package image
