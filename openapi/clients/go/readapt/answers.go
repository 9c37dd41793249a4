package readapt

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// ProblemError is a refusal by the service. Problem.Code has the reason for programs, Problem.Detail for people.
type ProblemError struct {
	Status  int
	Problem Problem
}

func (e *ProblemError) Error() string {
	return fmt.Sprintf("%d %s: %s", e.Status, e.Problem.Code, e.Problem.Detail)
}

// Answer is the common interface of all generated answers.
type Answer interface {
	StatusCode() int
	GetBody() []byte
}

// Check returns err if the request could not be sent, a *ProblemError if the service has refused it, and nil if it was
// answered.
func Check(answer Answer, err error) error {
	if err != nil {
		return err
	}
	status := answer.StatusCode()
	if status >= 200 && status < 300 {
		return nil
	}
	return refusal(status, answer.GetBody())
}

// refusal parses an answer as a *ProblemError, and returns another error if it is none.
func refusal(status int, body []byte) error {
	refused := &ProblemError{Status: status}
	if json.Unmarshal(body, &refused.Problem) != nil {
		return fmt.Errorf("status %d without a problem", status)
	}
	return refused
}

// Connect returns a client that sends an API key with every request. url is the origin of the service.
func Connect(url, key string, options ...ClientOption) (*ClientWithResponses, error) {
	sendKey := WithRequestEditorFn(func(_ context.Context, request *http.Request) error {
		request.Header.Set("Authorization", "Bearer "+key)
		return nil
	})
	return NewClientWithResponses(url, append(options, sendKey)...)
}
