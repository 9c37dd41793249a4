// Carries an adapter over to the next version of its base model: from an operator's key to a verified archive. READAPT
// is the address of the service, OPERATOR an operator's key, FAMILY the folder of the demo models, which the service
// can read, and NAME a name that nothing has yet.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"readapt.example/client/readapt"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	name := cmp.Or(os.Getenv("NAME"), "go")
	family := must(filepath.Abs(os.Getenv("FAMILY")))
	operator := connect(os.Getenv("OPERATOR"))

	// The operator registers the base model, whose first version starts no rollout, and gives a key to a tenant.
	oldBase, newBase := filepath.Join(family, "v1"), filepath.Join(family, "v2")
	answered(operator.CreateBaseModelWithResponse(ctx, nil, readapt.CreateBaseModel{Name: name}))
	answered(operator.CreateBaseModelVersionWithResponse(ctx, name, nil,
		readapt.CreateBaseModelVersion{Version: "1", Path: &oldBase}))
	owner := answered(operator.CreateTenantWithResponse(ctx, nil, readapt.CreateTenant{Name: name})).JSON201
	key := answered(operator.CreateApiKeyWithResponse(ctx, nil, readapt.CreateApiKey{
		Name: "example", TenantId: &owner.Id, Scopes: []readapt.Scope{readapt.ScopeTenantWrite},
	})).JSON201.Key
	tenant := connect(*key)

	// The tenant uploads rows and an adapter, which may be at most eight points worse on the next version.
	rows := must(os.Open(filepath.Join(family, "data/plural/train.jsonl")))
	dataset := answered(tenant.CreateDatasetWithBodyWithResponse(ctx,
		&readapt.CreateDatasetParams{Name: "plurals"}, "application/x-ndjson", rows)).JSON201
	var gate readapt.Gate
	check(gate.FromRelativeGate(readapt.RelativeGate{Margin: 0.08}))
	adapter := answered(tenant.CreateAdapterWithResponse(ctx, nil, readapt.CreateAdapter{
		Name: "plurals", BaseModel: name, DatasetId: dataset.Id, Metric: "exact_match", Gate: gate,
	})).JSON201
	archive := must(readapt.AdapterArchive(filepath.Join(family, "adapters/plural")))
	answered(tenant.UploadAdapterVersionWithBodyWithResponse(ctx, adapter.Id,
		&readapt.UploadAdapterVersionParams{BaseModelVersion: "1"}, "application/x-tar", archive))

	// The operator registers the next version, which starts a rollout. The key makes it safe to send the request again.
	again := name + "-2"
	registered := answered(operator.CreateBaseModelVersionWithResponse(ctx, name,
		&readapt.CreateBaseModelVersionParams{IdempotencyKey: &again},
		readapt.CreateBaseModelVersion{Version: "2", Path: &newBase})).JSON202
	rollout := must(readapt.WaitForRollout(ctx, tenant, registered.Rollout.Id, 2*time.Second))
	fmt.Println("rollout", rollout.Id, rollout.State)

	// The tenant downloads what was published, which is compared with its digest.
	for job, err := range readapt.Items(jobsOf(ctx, tenant, rollout.Id)) {
		check(err)
		if job.State != readapt.JobStateReady {
			fmt.Printf("%s %s: its old version stays\n", job.AdapterName, job.State)
			continue
		}
		fmt.Printf("%s %s by %s after %.1f s\n", job.AdapterName, job.State, *job.WonStrategy, *job.TtrMs/1000)
		version := answered(
			tenant.GetAdapterVersionWithResponse(ctx, job.AdapterId, *job.PublishedVersionId, nil)).JSON200
		file := fmt.Sprintf("%s-%s-%d.tar", name, job.AdapterName, version.Number)
		check(readapt.DownloadVersion(ctx, tenant, version, file, 2*time.Second))
		fmt.Println("verified", file, version.Digest)
	}
}

func connect(key string) *readapt.ClientWithResponses {
	return must(readapt.Connect(os.Getenv("READAPT"), key))
}

// jobsOf fetches the jobs of a rollout page by page.
func jobsOf(ctx context.Context, client *readapt.ClientWithResponses, rollout string) readapt.Page[readapt.Job] {
	return func(cursor *string) ([]readapt.Job, *string, error) {
		answer, err := client.ListJobsWithResponse(ctx, &readapt.ListJobsParams{RolloutId: &rollout, Cursor: cursor})
		if err := readapt.Check(answer, err); err != nil {
			return nil, nil, err
		}
		return answer.JSON200.Data, answer.JSON200.NextCursor, nil
	}
}

// answered ends the program unless the request was answered.
func answered[T readapt.Answer](answer T, err error) T {
	check(readapt.Check(answer, err))
	return answer
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
