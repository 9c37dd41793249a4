package readapt

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
)

// AdapterArchive packs the files of a PEFT folder into a tar archive for the upload.
func AdapterArchive(folder string) (io.Reader, error) {
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	if err := writer.AddFS(os.DirFS(folder)); err != nil {
		return nil, err
	}
	return &archive, writer.Close()
}

// VerifyArchive compares a downloaded archive with the digest of its adapter version.
func VerifyArchive(archive io.Reader, digest string) error {
	found, err := folderDigest(archive)
	if err != nil {
		return err
	}
	if found != digest {
		return fmt.Errorf("the archive has the digest %s, expected %s", found, digest)
	}
	return nil
}

// folderDigest is SHA-256 of a heading and a line `["path",bytes,"sha256"]` for each file, in the order of the paths.
func folderDigest(archive io.Reader) (string, error) {
	lines := []string{}
	reader := tar.NewReader(archive)
	for {
		entry, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		if entry.Typeflag != tar.TypeReg {
			continue
		}
		line, err := manifestLine(entry, reader)
		if err != nil {
			return "", err
		}
		lines = append(lines, line)
	}
	sort.Strings(lines)
	sum := sha256.Sum256([]byte("readapt folder 1\n" + strings.Join(lines, "")))
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

func manifestLine(entry *tar.Header, content io.Reader) (string, error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, content); err != nil {
		return "", err
	}
	path := entry.Name
	if _, inside, isInFolder := strings.Cut(path, "/"); isInFolder {
		path = inside
	}
	line, err := json.Marshal([]any{path, entry.Size, hex.EncodeToString(hash.Sum(nil))})
	return string(line) + "\n", err
}
