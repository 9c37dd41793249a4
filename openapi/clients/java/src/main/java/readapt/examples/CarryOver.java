package readapt.examples;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import readapt.client.ApiClient;
import readapt.client.api.AdaptersApi;
import readapt.client.api.ApiKeysApi;
import readapt.client.api.BaseModelsApi;
import readapt.client.api.DatasetsApi;
import readapt.client.api.JobsApi;
import readapt.client.api.RolloutsApi;
import readapt.client.api.TenantsApi;
import readapt.client.model.CreateAdapter;
import readapt.client.model.CreateApiKey;
import readapt.client.model.CreateBaseModel;
import readapt.client.model.CreateBaseModelVersion;
import readapt.client.model.CreateTenant;
import readapt.client.model.Gate;
import readapt.client.model.Job;
import readapt.client.model.JobPage;
import readapt.client.model.JobState;
import readapt.client.model.MetricName;
import readapt.client.model.RelativeGate;
import readapt.client.model.Scope;
import readapt.support.Archives;
import readapt.support.Connection;
import readapt.support.Downloads;
import readapt.support.Pages;
import readapt.support.Waiting;

/**
 * Carries an adapter over to the next version of its base model: from an operator's key to a verified archive.
 *
 * <p>READAPT is the address of the service, OPERATOR an operator's key, FAMILY the folder of the demo models, which the
 * service can read, and NAME a name that nothing has yet.
 */
public final class CarryOver {
  private static final String URL = System.getenv("READAPT");
  private static final String NAME = Optional.ofNullable(System.getenv("NAME")).orElse("java");
  private static final Path FAMILY = Path.of(System.getenv("FAMILY")).toAbsolutePath();

  private CarryOver() {}

  public static void main(String[] arguments) throws Exception {
    var operator = Connection.open(URL, System.getenv("OPERATOR"));

    // The operator registers the base model, whose first version starts no rollout, and gives a key to a tenant.
    var models = new BaseModelsApi(operator);
    models.createBaseModel(new CreateBaseModel().name(NAME), null);
    models.createBaseModelVersion(NAME, version("1"), null);
    var owner = new TenantsApi(operator).createTenant(new CreateTenant().name(NAME), null);
    var scopes = Set.of(Scope.TENANT_WRITE);
    var key = new CreateApiKey().name("example").tenantId(owner.getId()).scopes(scopes);
    var tenant = Connection.open(URL, new ApiKeysApi(operator).createApiKey(key, null).getKey());

    // The tenant uploads rows and an adapter, which may be at most eight points worse on the next version.
    var rows = FAMILY.resolve("data/plural/train.jsonl").toFile();
    var dataset = new DatasetsApi(tenant).createDataset("plurals", rows, null, null);
    var gate = new RelativeGate().kind(RelativeGate.KindEnum.RELATIVE).margin(0.08);
    var wanted = new CreateAdapter().name("plurals").baseModel(NAME).datasetId(dataset.getId())
        .metric(MetricName.EXACT_MATCH).gate(new Gate(gate));
    var adapters = new AdaptersApi(tenant);
    var adapter = adapters.createAdapter(wanted, null);
    var archive = Archives.ofAdapter(FAMILY.resolve("adapters/plural"));
    adapters.uploadAdapterVersion("1", adapter.getId(), archive, null);

    // The operator registers the next version, which starts a rollout. The key makes it safe to send the request again.
    var registered = models.createBaseModelVersion(NAME, version("2"), NAME + "-2");
    var rolloutId = registered.getRollout().getId();
    var rollout = Waiting.forRollout(new RolloutsApi(tenant), rolloutId, Duration.ofMinutes(10), Duration.ofSeconds(2));
    System.out.println("rollout " + rollout.getId() + " " + rollout.getState());

    for (var job : Pages.items(jobsOf(tenant, rolloutId), JobPage::getData, JobPage::getNextCursor)) {
      if (job.getState() == JobState.READY) {
        download(tenant, job);
      } else {
        System.out.println(job.getAdapterName() + " " + job.getState() + ": its old version stays");
      }
    }
  }

  private static CreateBaseModelVersion version(String version) {
    return new CreateBaseModelVersion().version(version).path(FAMILY.resolve("v" + version).toString());
  }

  /** Fetches the jobs of a rollout page by page. */
  private static Pages.Request<JobPage> jobsOf(ApiClient client, String rolloutId) {
    var request = JobsApi.APIListJobsRequest.newBuilder().rolloutId(rolloutId);
    return cursor -> new JobsApi(client).listJobs(request.cursor(cursor).build());
  }

  /** Downloads the published version of a job as the tenant, and compares it with its digest. */
  private static void download(ApiClient tenant, Job job) throws Exception {
    var seconds = job.getTtrMs() / 1000;
    System.out.printf("%s %s by %s after %.1f s%n",
        job.getAdapterName(), job.getState(), job.getWonStrategy(), seconds);
    var version = new AdaptersApi(tenant).getAdapterVersion(job.getAdapterId(), job.getPublishedVersionId(), null);
    var file = Path.of(NAME + "-" + job.getAdapterName() + "-" + version.getNumber() + ".tar");
    Downloads.version(tenant, version, file, Duration.ofSeconds(2));
    System.out.println("verified " + file + " " + version.getDigest());
  }
}
