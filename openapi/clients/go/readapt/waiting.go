package readapt

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// RolloutNotCompletedError is a rollout that has failed or was cancelled.
type RolloutNotCompletedError struct {
	Rollout *Rollout
}

func (e *RolloutNotCompletedError) Error() string {
	return fmt.Sprintf("rollout %s has ended without being completed: %s", e.Rollout.Id, e.Rollout.State)
}

// WaitForRollout polls a rollout with its ETag, which costs the service little while nothing changes, and returns it
// when it is completed. All its jobs have ended then; its Summary has the number that are ready. It polls after every
// interval, or when the service asks. It returns a *RolloutNotCompletedError if the rollout has failed or was
// cancelled, a *ProblemError if the service refuses the request, and the error of ctx if that ends first, for example
// because the rollout is paused. While the service cannot be reached, it keeps polling.
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
		} else if isUnreachable(err) {
			// The service may be restarting.
		} else if err != nil || answer.StatusCode() != http.StatusNotModified {
			if err := Check(answer, err); err != nil {
				return nil, err
			}
			rollout = answer.JSON200
			etag := answer.HTTPResponse.Header.Get("ETag")
			params.IfNoneMatch = &etag
		}
		switch stateOf(rollout) {
		case "completed":
			return rollout, nil
		case "failed", "cancelled":
			return nil, &RolloutNotCompletedError{rollout}
		}
		select {
		case <-ctx.Done():
			state := stateOf(rollout)
			return nil, fmt.Errorf("rollout %s has not ended in time; its state is %s: %w", id, state, ctx.Err())
		case <-time.After(pause):
		}
	}
}

func stateOf(rollout *Rollout) string {
	if rollout == nil {
		return "not known"
	}
	return string(rollout.State)
}

// isUnreachable tells whether no answer came, because of the network or because ctx has ended.
func isUnreachable(err error) bool {
	var fault *url.Error
	return errors.As(err, &fault)
}

// retryAfter returns the delay that the service asks for, or nil if it asks for none.
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
