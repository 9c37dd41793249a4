package readapt

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

const adapterDigest = "sha256:989194d7ede0dab3b03c2bf715b239b02a130533e50d08f6d604473a8d2f2d46"

func adapterArchive(t *testing.T) []byte {
	archive, err := AdapterArchive("../../../../examples/demo-family/adapters/plural")
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(archive)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// serving returns a client of a server that has an archive, and the ranges that were requested. The server cuts the
// first connection after cutAfter bytes, or not at all if that is 0.
func serving(t *testing.T, archive []byte, cutAfter int) (*ClientWithResponses, *[]string) {
	ranges := []string{}
	server := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		ranges = append(ranges, request.Header.Get("Range"))
		writer.Header().Set("ETag", `"`+adapterDigest+`"`)
		if cutAfter > 0 && len(ranges) == 1 {
			writer.Header().Set("Content-Length", fmt.Sprint(len(archive)))
			_, _ = writer.Write(archive[:cutAfter])
			return
		}
		http.ServeContent(writer, request, "", time.Time{}, bytes.NewReader(archive))
	}))
	t.Cleanup(server.Close)
	client, err := Connect(server.URL, "key")
	if err != nil {
		t.Fatal(err)
	}
	return client, &ranges
}

func TestDownloadVersionGoesOnFromWhatIsThere(t *testing.T) {
	archive := adapterArchive(t)
	tooMuch := []string{fmt.Sprintf("bytes=%d-", len(archive)+1), ""}
	for name, test := range map[string]struct {
		part     []byte
		cutAfter int
		digest   string
		ranges   []string
		fails    bool
	}{
		"interrupted":      {nil, 5000, adapterDigest, []string{"", "bytes=5000-"}, false},
		"in another run":   {archive[:5000], 0, adapterDigest, []string{"bytes=5000-"}, false},
		"all of it":        {archive, 0, adapterDigest, []string{fmt.Sprintf("bytes=%d-", len(archive))}, false},
		"too much":         {append(bytes.Clone(archive), 'x'), 0, adapterDigest, tooMuch, false},
		"something else":   {[]byte("x"), 0, adapterDigest, []string{"bytes=1-"}, true},
		"of other content": {[]byte("x"), 0, "sha256:other", []string{"bytes=1-"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "plural.tar")
			if test.part != nil {
				if err := os.WriteFile(file+".part", test.part, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			client, ranges := serving(t, archive, test.cutAfter)
			version := testdata[AdapterVersion](t, "adapter-version.json")
			version.Digest = test.digest
			err := DownloadVersion(t.Context(), client, &version, file, time.Millisecond)
			if (err != nil) != test.fails || !reflect.DeepEqual(*ranges, test.ranges) {
				t.Errorf("got %v after the ranges %q, expected %q", err, *ranges, test.ranges)
			}
			content, _ := os.ReadFile(file)
			if !test.fails && !bytes.Equal(content, archive) {
				t.Errorf("the file has %d bytes, expected the %d of the archive", len(content), len(archive))
			}
			if left, _ := filepath.Glob(file + "*"); test.fails && len(left) > 0 || !test.fails && len(left) != 1 {
				t.Errorf("there are the files %q", left)
			}
		})
	}
}

func TestDownloadVersionReturnsAProblemThatAskingAgainDoesNotMend(t *testing.T) {
	client, requests := answering(t, problem(404, "not_found", nil))
	version := testdata[AdapterVersion](t, "adapter-version.json")
	err := DownloadVersion(t.Context(), client, &version, filepath.Join(t.TempDir(), "a.tar"), time.Millisecond)
	if err == nil || err.Error() != "404 not_found: no" || len(*requests) != 1 {
		t.Errorf("got %v after %d requests", err, len(*requests))
	}
}
