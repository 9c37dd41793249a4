package readapt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"time"
)

// stallTimeout is the time without progress after which a download fails.
const stallTimeout = time.Minute

// DownloadVersion downloads the archive of a version to a file, and compares it with the version's digest. Until it is
// complete, the file has ".part" at the end of its name. A download resumes from that file, even in another run of the
// program. After an interruption it asks again after every interval, until nothing has arrived for a minute. It returns
// a *ProblemError if the service refuses the request, and the error of ctx if that ends first. An archive with another
// digest is removed.
func DownloadVersion(
	ctx context.Context, client ClientInterface, version *AdapterVersion, file string, interval time.Duration,
) error {
	part := file + ".part"
	output, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer output.Close()
	if err := receiveAll(ctx, client, version, output, interval); err != nil {
		return err
	}
	if _, err := output.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := VerifyArchive(output, version.Digest); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	if err := output.Close(); err != nil {
		return err
	}
	return os.Rename(part, file)
}

func receiveAll(
	ctx context.Context, client ClientInterface, version *AdapterVersion, output *os.File, interval time.Duration,
) error {
	deadline := time.Now().Add(stallTimeout)
	for {
		before, err := output.Seek(0, io.SeekEnd)
		if err != nil {
			return err
		}
		fault := receive(ctx, client, version, output, before)
		if !isInterruption(fault) {
			return fault
		}
		if after, err := output.Seek(0, io.SeekEnd); err == nil && after > before {
			deadline = time.Now().Add(stallTimeout)
		}
		if time.Now().Add(interval).After(deadline) {
			return fault
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(interval):
		}
	}
}

// isInterruption tells whether another request may bring the rest: neither the service nor the disk has refused it.
func isInterruption(err error) bool {
	var refused *ProblemError
	var file *fs.PathError
	return err != nil && !errors.As(err, &refused) && !errors.As(err, &file)
}

// receive writes the bytes after the first `before`.
func receive(
	ctx context.Context, client ClientInterface, version *AdapterVersion, output *os.File, before int64,
) error {
	params := &DownloadAdapterVersionParams{}
	if before > 0 {
		// The ETag of an archive is the digest of its version. If it has changed, all bytes are sent.
		wanted, etag := fmt.Sprintf("bytes=%d-", before), `"`+version.Digest+`"`
		params.Range, params.IfRange = &wanted, &etag
	}
	answer, err := client.DownloadAdapterVersion(ctx, version.AdapterId, version.Id, params)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusPartialContent:
	case http.StatusOK:
		before = 0
	case http.StatusRequestedRangeNotSatisfiable:
		if answer.Header.Get("Content-Range") == fmt.Sprintf("bytes */%d", before) {
			return nil
		}
		// The file is longer than the archive, so it is something else.
		if err := output.Truncate(0); err != nil {
			return err
		}
		return receive(ctx, client, version, output, 0)
	default:
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			return err
		}
		return refusal(answer.StatusCode, body)
	}
	if err := output.Truncate(before); err != nil {
		return err
	}
	if _, err := output.Seek(before, io.SeekStart); err != nil {
		return err
	}
	_, err = io.Copy(output, answer.Body)
	return err
}
