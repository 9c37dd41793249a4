package readapt.support;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import readapt.client.ApiClient;

/** Server that returns a test's answers in turn, and records the requests. */
final class Answers implements AutoCloseable {
  static final ObjectMapper JSON = new ObjectMapper();

  /** Status that makes the server cut the connection. */
  static final int CUT = 0;

  record Answer(int status, Map<String, String> headers, String body) {}

  record Request(String path, String ifNoneMatch, String authorization, String body) {}

  private final Queue<Answer> answers;
  private final HttpServer server;
  final List<Request> requests = new ArrayList<>();
  final ApiClient client;

  Answers(Answer... answers) throws IOException {
    this.answers = new ArrayDeque<>(Arrays.asList(answers));
    server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    server.createContext("/", this::handle);
    server.start();
    client = Connection.open("http://127.0.0.1:" + server.getAddress().getPort(), "key");
  }

  static String testdata(String name) {
    try {
      return Files.readString(Path.of("../testdata", name));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static Answer rollout(String state, String etag) throws IOException {
    var body = (ObjectNode) JSON.readTree(testdata("rollout.json"));
    return new Answer(200, Map.of("ETag", etag), body.put("state", state).toString());
  }

  static Answer problem(int status, String code, Map<String, String> headers) {
    return new Answer(status, headers, JSON.createObjectNode().put("status", status).put("code", code).toString());
  }

  private void handle(HttpExchange exchange) throws IOException {
    var headers = exchange.getRequestHeaders();
    var body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
    requests.add(new Request(exchange.getRequestURI().toString(), headers.getFirst("If-None-Match"),
        headers.getFirst("Authorization"), body));
    var next = answers.remove();
    if (next.status() == CUT) {
      exchange.close();
      return;
    }
    next.headers().forEach(exchange.getResponseHeaders()::set);
    var content = next.body().getBytes(StandardCharsets.UTF_8);
    exchange.sendResponseHeaders(next.status(), content.length == 0 ? -1 : content.length);
    exchange.getResponseBody().write(content);
    exchange.close();
  }

  @Override
  public void close() {
    server.stop(0);
  }
}
