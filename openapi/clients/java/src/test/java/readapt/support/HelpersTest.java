package readapt.support;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.Test;
import readapt.client.ApiClient;
import readapt.client.ApiException;
import readapt.client.api.DatasetsApi;
import readapt.client.api.RolloutsApi;
import readapt.client.api.TenantsApi;
import readapt.client.model.CreateTenant;
import readapt.client.model.Events;
import readapt.client.model.JobReadyEvent;
import readapt.client.model.KnownEvent;
import readapt.client.model.Rollout;
import readapt.client.model.TenantPage;
import readapt.client.model.UnknownEvent;
import readapt.client.model.WebhookMessage;
import readapt.support.Answers.Answer;
import readapt.support.Answers.Request;

class HelpersTest {
  private static final Path ADAPTER = Path.of("../../../examples/demo-family/adapters/plural");
  private static final String ADAPTER_DIGEST =
      "sha256:989194d7ede0dab3b03c2bf715b239b02a130533e50d08f6d604473a8d2f2d46";

  private static Rollout waitWith(Answers answers, Duration timeout) throws Exception {
    return Waiting.forRollout(new RolloutsApi(answers.client), "rol_1", timeout, Duration.ofMillis(1));
  }

  @Test
  void pollsWithTheEtagUntilTheRolloutIsCompleted() throws Exception {
    try (var answers = new Answers(Answers.rollout("adapting", "\"a\""), new Answer(304, Map.of("ETag", "\"a\""), ""),
        Answers.problem(429, "too_many_requests", Map.of("Retry-After", "0")),
        Answers.rollout("a_state_of_a_newer_service", "\"b\""), Answers.rollout("completed", "\"c\""))) {
      assertEquals("completed", waitWith(answers, Duration.ofSeconds(20)).getState().toString());
      var expected = Arrays.asList(null, "\"a\"", "\"a\"", "\"a\"", "\"b\"");
      assertEquals(expected, answers.requests.stream().map(Request::ifNoneMatch).toList());
      assertEquals("Bearer key", answers.requests.get(0).authorization());
    }
  }

  @Test
  void throwsWhatEndsOtherwise() throws Exception {
    try (var answers = new Answers(Answers.rollout("failed", "\"a\""))) {
      var e = assertThrows(RolloutNotCompletedException.class, () -> waitWith(answers, Duration.ofSeconds(20)));
      assertEquals("failed", e.getRollout().getState().toString());
    }
  }

  @Test
  void throwsAProblemThatWaitingDoesNotMend() throws Exception {
    try (var answers = new Answers(Answers.problem(404, "not_found", Map.of()))) {
      var e = assertThrows(ApiException.class, () -> waitWith(answers, Duration.ofSeconds(20)));
      assertEquals(404, e.getCode());
    }
  }

  @Test
  void goesOnAskingWhileTheServiceCannotBeReached() throws Exception {
    var cut = new Answer(Answers.CUT, Map.of(), "");
    try (var answers = new Answers(cut, cut, cut, Answers.rollout("completed", "\"a\""))) {
      assertEquals("rol", waitWith(answers, Duration.ofSeconds(20)).getId().substring(0, 3));
    }
  }

  @Test
  void waitsAsLongAsTheServiceAsks() throws Exception {
    try (var answers = new Answers(Answers.problem(503, "service_unavailable", Map.of("Retry-After", "60")))) {
      assertThrows(TimeoutException.class, () -> waitWith(answers, Duration.ofSeconds(20)));
      assertEquals(1, answers.requests.size());
    }
  }

  @Test
  void goesThroughAllPages() throws Exception {
    try (var answers = new Answers(page("a", "\"next\""), page("b", "null"))) {
      var api = new TenantsApi(answers.client);
      var request = TenantsApi.APIListTenantsRequest.newBuilder();
      var names = new ArrayList<String>();
      for (var tenant : Pages.items(cursor -> api.listTenants(request.cursor(cursor).build()), TenantPage::getData,
          TenantPage::getNextCursor)) {
        names.add(tenant.getName());
      }
      assertEquals(List.of("a", "b"), names);
      var paths = answers.requests.stream().map(Request::path).toList();
      assertEquals(List.of("/v1/tenants", "/v1/tenants?cursor=next"), paths);
    }
  }

  private static Answer page(String name, String next) {
    var tenant = "{\"id\": \"ten_1\", \"name\": \"%s\", \"created_at\": \"2026-11-27T23:36:17Z\"}".formatted(name);
    return new Answer(200, Map.of(), "{\"data\": [%s], \"next_cursor\": %s}".formatted(tenant, next));
  }

  @Test
  void sendsFilesAsTheyAre() throws Exception {
    var rows = Files.createTempFile("rows", ".jsonl");
    Files.writeString(rows, "{\"prompt\": \"a\"}\n");
    try (var answers = new Answers(new Answer(201, Map.of(), ""), new Answer(201, Map.of(), ""))) {
      new DatasetsApi(answers.client).createDataset("rows", rows.toFile(), null, null);
      new TenantsApi(answers.client).createTenant(new CreateTenant().name("a"), null);
      var bodies = answers.requests.stream().map(Request::body).toList();
      assertEquals(List.of("{\"prompt\": \"a\"}\n", "{\"name\":\"a\"}"), bodies);
    }
  }

  @Test
  void verifiesTheDigestThatTheServiceGivesToTheSameFiles() throws Exception {
    var archive = Archives.ofAdapter(ADAPTER).toPath();
    Archives.verify(archive, ADAPTER_DIGEST);

    var content = Files.readString(archive, StandardCharsets.ISO_8859_1);
    Files.writeString(archive, content.replaceFirst("lora_alpha", "lora_alphb"), StandardCharsets.ISO_8859_1);
    assertThrows(IOException.class, () -> Archives.verify(archive, ADAPTER_DIGEST));
  }

  @Test
  void readsEventsOfUnknownTypes() throws Exception {
    var events = read("events.json", Events.class).getData();
    var known = assertInstanceOf(KnownEvent.class, events.get(0).getActualInstance());
    var ready = assertInstanceOf(JobReadyEvent.class, known.getActualInstance());
    assertEquals("rol_01a21f4c-744c-7210-8b19-58c563490a13", ready.getData().getRolloutId());
    var unknown = assertInstanceOf(UnknownEvent.class, events.get(1).getActualInstance());
    assertEquals("something.of_a_newer_service", unknown.getType());
    assertEquals(Map.of("what", "is new"), unknown.getData());
  }

  @Test
  void readsWebhooksAboutThem() throws Exception {
    var event = Answers.JSON.readTree(Answers.testdata("events.json")).get("data").get(1);
    var message = Answers.JSON.createObjectNode().put("type", event.get("type").asText());
    message.put("timestamp", event.get("occurred_at").asText()).set("data", event);
    var read = ApiClient.createDefaultObjectMapper().readValue(message.toString(), WebhookMessage.class);
    assertInstanceOf(UnknownEvent.class, read.getData().getActualInstance());
  }

  @Test
  void readsAnswersWithUnknownValuesAndMembers() throws Exception {
    assertEquals("completed", read("rollout.json", Rollout.class).getState().toString());
  }

  private static <T> T read(String name, Class<T> type) throws IOException {
    return ApiClient.createDefaultObjectMapper().readValue(Answers.testdata(name), type);
  }
}
