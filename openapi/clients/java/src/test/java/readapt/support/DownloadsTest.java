package readapt.support;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import readapt.client.ApiClient;
import readapt.client.ApiException;
import readapt.client.model.AdapterVersion;

class DownloadsTest {
  private static final String DIGEST = "sha256:989194d7ede0dab3b03c2bf715b239b02a130533e50d08f6d604473a8d2f2d46";
  private static final int NEVER = 0;

  @TempDir
  private Path folder;
  private Path file;
  private Path part;
  private byte[] archive;
  private AdapterVersion version;

  @BeforeEach
  void prepare() throws IOException {
    file = folder.resolve("plural.tar");
    part = folder.resolve("plural.tar.part");
    archive = Files.readAllBytes(Archives.ofAdapter(Path.of("../../../examples/demo-family/adapters/plural")).toPath());
    var mapper = ApiClient.createDefaultObjectMapper();
    version = mapper.readValue(Answers.testdata("adapter-version.json"), AdapterVersion.class).digest(DIGEST);
  }

  /** Downloads from a server that cuts the first connection after some bytes. Returns the requested ranges. */
  private List<String> download(int cutAfter) throws Exception {
    var ranges = new ArrayList<String>();
    var server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    server.createContext("/", exchange -> {
      ranges.add(exchange.getRequestHeaders().getFirst("Range"));
      answer(exchange, ranges.size() == 1 ? cutAfter : NEVER);
    });
    server.start();
    try {
      var client = Connection.open("http://127.0.0.1:" + server.getAddress().getPort(), "key");
      Downloads.version(client, version, file, Duration.ofMillis(1));
    } finally {
      server.stop(0);
    }
    return ranges;
  }

  private void answer(HttpExchange exchange, int cutAfter) throws IOException {
    var headers = exchange.getRequestHeaders();
    var isRange = ('"' + DIGEST + '"').equals(headers.getFirst("If-Range"));
    var start = isRange ? Integer.parseInt(headers.getFirst("Range").replaceAll("\\D", "")) : 0;
    if (start >= archive.length) {
      exchange.getResponseHeaders().set("Content-Range", "bytes */" + archive.length);
      exchange.sendResponseHeaders(416, -1);
    } else {
      exchange.sendResponseHeaders(isRange ? 206 : 200, archive.length - start);
      var bytes = cutAfter == NEVER ? archive.length - start : cutAfter;
      exchange.getResponseBody().write(archive, start, bytes);
      exchange.getResponseBody().flush();
    }
    exchange.close();
  }

  private List<String> files() throws IOException {
    try (var files = Files.list(folder)) {
      return files.map(path -> path.getFileName().toString()).toList();
    }
  }

  private void assertWhole() throws IOException {
    assertEquals(List.of("plural.tar"), files());
    assertArrayEquals(archive, Files.readAllBytes(file));
  }

  @Test
  void goesOnAfterAnInterruption() throws Exception {
    assertEquals(Arrays.asList(null, "bytes=5000-"), download(5000));
    assertWhole();
  }

  @Test
  void goesOnInAnotherRun() throws Exception {
    Files.write(part, Arrays.copyOf(archive, 5000));
    assertEquals(List.of("bytes=5000-"), download(NEVER));
    assertWhole();
  }

  @Test
  void takesWhatIsWholeAndBeginsAnewWhereThereIsTooMuch() throws Exception {
    Files.write(part, archive);
    assertEquals(List.of("bytes=" + archive.length + "-"), download(NEVER));
    assertWhole();

    Files.write(part, Arrays.copyOf(archive, archive.length + 1));
    assertEquals(Arrays.asList("bytes=" + (archive.length + 1) + "-", null), download(NEVER));
    assertWhole();
  }

  @Test
  void leavesNothingThatIsNotWhatTheVersionIs() throws Exception {
    for (var digest : List.of(DIGEST, "sha256:other")) {
      Files.writeString(part, "something else");
      version.digest(digest);
      assertThrows(IOException.class, () -> download(NEVER));
      assertEquals(Collections.emptyList(), files());
    }
  }

  @Test
  void throwsAProblemThatAskingAgainDoesNotMend() throws Exception {
    try (var answers = new Answers(Answers.problem(404, "not_found", Map.of()))) {
      var e = assertThrows(ApiException.class,
          () -> Downloads.version(answers.client, version, file, Duration.ofMillis(1)));
      assertEquals(404, e.getCode());
    }
  }
}
