package readapt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// answer is the next answer of a test's server, which cuts the connection if there is no status.
type answer struct {
	status  int
	headers map[string]string
	body    any
}

// answering returns a client whose requests get the answers in turn, and the requests that it has sent.
func answering(t *testing.T, answers ...answer) (*ClientWithResponses, *[]*http.Request) {
	requests := []*http.Request{}
	server := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		next := answers[len(requests)]
		requests = append(requests, request)
		if next.status == 0 {
			panic(http.ErrAbortHandler)
		}
		writer.Header().Set("Content-Type", "application/json")
		for name, value := range next.headers {
			writer.Header().Set(name, value)
		}
		writer.WriteHeader(next.status)
		if next.body != nil {
			_ = json.NewEncoder(writer).Encode(next.body)
		}
	}))
	t.Cleanup(server.Close)
	client, err := Connect(server.URL, "key")
	if err != nil {
		t.Fatal(err)
	}
	return client, &requests
}

func testdata[T any](t *testing.T, name string) T {
	content, err := os.ReadFile("../../testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var value T
	if err := json.Unmarshal(content, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func rolloutIn(t *testing.T, state, etag string) answer {
	body := testdata[map[string]any](t, "rollout.json")
	body["state"] = state
	return answer{200, map[string]string{"ETag": etag}, body}
}

func problem(status int, code string, headers map[string]string) answer {
	return answer{status, headers, map[string]any{"status": status, "code": code, "detail": "no"}}
}

func TestWaitForRolloutPollsWithTheETagUntilItIsCompleted(t *testing.T) {
	client, requests := answering(t,
		rolloutIn(t, "adapting", `"a"`),
		answer{304, map[string]string{"ETag": `"a"`}, nil},
		problem(429, "too_many_requests", map[string]string{"Retry-After": "0"}),
		answer{},
		rolloutIn(t, "a_state_of_a_newer_service", `"b"`),
		rolloutIn(t, "completed", `"c"`))
	rollout, err := WaitForRollout(t.Context(), client, "rol_1", time.Millisecond)
	if err != nil || rollout.State != "completed" {
		t.Fatalf("got %v, %v", rollout, err)
	}
	etags := []string{}
	for _, request := range *requests {
		etags = append(etags, request.Header.Get("If-None-Match"))
	}
	if expected := []string{"", `"a"`, `"a"`, `"a"`, `"a"`, `"b"`}; !reflect.DeepEqual(etags, expected) {
		t.Errorf("sent the ETags %q, expected %q", etags, expected)
	}
	if key := (*requests)[0].Header.Get("Authorization"); key != "Bearer key" {
		t.Errorf("sent the key %q", key)
	}
}

func TestWaitForRolloutReturnsWhatEndsOtherwise(t *testing.T) {
	client, _ := answering(t, rolloutIn(t, "failed", `"a"`))
	_, err := WaitForRollout(t.Context(), client, "rol_1", time.Millisecond)
	var notCompleted *RolloutNotCompletedError
	if !errors.As(err, &notCompleted) || notCompleted.Rollout.State != "failed" {
		t.Errorf("got %v", err)
	}
}

func TestWaitForRolloutReturnsAProblemThatWaitingDoesNotMend(t *testing.T) {
	client, _ := answering(t, problem(404, "not_found", nil))
	_, err := WaitForRollout(t.Context(), client, "rol_1", time.Millisecond)
	var refused *ProblemError
	if !errors.As(err, &refused) || refused.Error() != "404 not_found: no" {
		t.Errorf("got %v", err)
	}
}

func TestWaitForRolloutWaitsAsLongAsTheServiceAsks(t *testing.T) {
	client, requests := answering(t, problem(503, "service_unavailable", map[string]string{"Retry-After": "60"}))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := WaitForRollout(ctx, client, "rol_1", time.Millisecond)
	if !errors.Is(err, context.DeadlineExceeded) || len(*requests) != 1 {
		t.Errorf("got %v after %d requests", err, len(*requests))
	}
}

func TestItemsGoesThroughAllPages(t *testing.T) {
	page := func(name string, next any) answer {
		tenant := map[string]any{"id": "ten_1", "name": name, "created_at": "2026-11-27T23:36:17Z"}
		return answer{200, nil, map[string]any{"data": []any{tenant}, "next_cursor": next}}
	}
	client, requests := answering(t, page("a", "next"), page("b", nil))
	names := ""
	for tenant, err := range Items(func(cursor *string) ([]Tenant, *string, error) {
		answer, err := client.ListTenantsWithResponse(t.Context(), &ListTenantsParams{Cursor: cursor})
		if err := Check(answer, err); err != nil {
			return nil, nil, err
		}
		return answer.JSON200.Data, answer.JSON200.NextCursor, nil
	}) {
		if err != nil {
			t.Fatal(err)
		}
		names += tenant.Name
	}
	if second := (*requests)[1].URL.Query().Get("cursor"); names != "ab" || second != "next" {
		t.Errorf("got the tenants %q, and the second page by the cursor %q", names, second)
	}
}

func TestVerifyArchiveKnowsTheDigestThatTheServiceGivesToTheSameFiles(t *testing.T) {
	const digest = "sha256:989194d7ede0dab3b03c2bf715b239b02a130533e50d08f6d604473a8d2f2d46"
	archive, err := AdapterArchive("../../../../examples/demo-family/adapters/plural")
	if err != nil {
		t.Fatal(err)
	}
	content, _ := io.ReadAll(archive)
	if err := VerifyArchive(bytes.NewReader(content), digest); err != nil {
		t.Error(err)
	}
	changed := bytes.Replace(content, []byte("lora_alpha"), []byte("lora_alphb"), 1)
	err = VerifyArchive(bytes.NewReader(changed), digest)
	if err == nil || !strings.Contains(err.Error(), "expected") {
		t.Errorf("a changed archive was verified: %v", err)
	}
}

func TestEventsOfUnknownTypesAreRead(t *testing.T) {
	events := testdata[Events](t, "events.json").Data
	known, err := events[0].AsKnownEvent()
	if err != nil {
		t.Fatal(err)
	}
	value, err := known.ValueByDiscriminator()
	ready, isReady := value.(JobReadyEvent)
	if err != nil || !isReady || ready.Data.Kind != "a_kind_of_a_newer_service" {
		t.Errorf("got %v, %v", value, err)
	}
	unknown, err := events[1].AsUnknownEvent()
	if err != nil || unknown.Type != "something.of_a_newer_service" || unknown.Data["what"] != "is new" {
		t.Errorf("got %v, %v", unknown, err)
	}
}

func TestWebhooksAboutThemAreRead(t *testing.T) {
	event := testdata[Events](t, "events.json").Data[1]
	body, err := json.Marshal(WebhookMessage{Type: "something.of_a_newer_service", Data: event})
	if err != nil {
		t.Fatal(err)
	}
	var message WebhookMessage
	if err := json.Unmarshal(body, &message); err != nil {
		t.Fatal(err)
	}
	unknown, err := message.Data.AsUnknownEvent()
	if err != nil || message.Type != "something.of_a_newer_service" || unknown.Type != string(message.Type) {
		t.Errorf("got %v, %v, %v", message, unknown, err)
	}
}
