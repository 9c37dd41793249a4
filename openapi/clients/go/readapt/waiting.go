package readapt

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// WaitForRollout polls a rollout with its ETag, which costs the service little while nothing has changed, and returns it when it has
// ended: completed, failed or cancelled. It asks again after every interval, or when the service says. A rollout that is paused may
// never end: the error says so when ctx does.
func WaitForRollout(
	ctx context.Context, client ClientWithResponsesInterface, id string, interval time.Duration,
) (*Rollout, error) {
	var rollout *Rollout
	params := &GetRolloutParams{}
	for {
		answer, err := client.GetRolloutWithResponse(ctx, id, params)
		pause := interval
		if asked := retryAfter(answer, err); asked != nil {
			pause = *asked
		} else if err != nil || answer.StatusCode() != http.StatusNotModified {
			if err := Check(answer, err); err != nil {
				return nil, err
			}
			rollout = answer.JSON200
			etag := answer.HTTPResponse.Header.Get("ETag")
			params.IfNoneMatch = &etag
		}
		if rollout != nil && hasEnded(rollout) {
			return rollout, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("rollout %s has not ended in time; its state is %s: %w", id, stateOf(rollout), ctx.Err())
		case <-time.After(pause):
		}
	}
}

func hasEnded(rollout *Rollout) bool {
	switch rollout.State {
	case "completed", "failed", "cancelled":
		return true
	default:
		return false
	}
}

func stateOf(rollout *Rollout) string {
	if rollout == nil {
		return "not known"
	}
	return string(rollout.State)
}

// retryAfter returns how long the service asks to wait before the same request is sent again, or nil if it does not.
func retryAfter(answer *GetRolloutResponse, err error) *time.Duration {
	if err != nil {
		return nil
	}
	status := answer.StatusCode()
	if status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		return nil
	}
	seconds, err := strconv.Atoi(answer.HTTPResponse.Header.Get("Retry-After"))
	if err != nil {
		return nil
	}
	pause := time.Duration(seconds) * time.Second
	return &pause
}
