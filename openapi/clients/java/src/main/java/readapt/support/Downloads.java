package readapt.support;

import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.time.Instant;
import readapt.client.ApiClient;
import readapt.client.ApiException;
import readapt.client.model.AdapterVersion;

/** Downloads that resume after an interruption. */
public final class Downloads {
  /** Time without progress after which a download fails. */
  private static final Duration STALL_TIMEOUT = Duration.ofMinutes(1);
  private static final int OK = 200;
  private static final int PARTIAL_CONTENT = 206;
  private static final int RANGE_NOT_SATISFIABLE = 416;
  private static final int BUFFER_BYTES = 1 << 16;

  private Downloads() {}

  /** Loss of the connection, after which another request may bring the rest. */
  private static final class Interruption extends IOException {
    private static final long serialVersionUID = 1L;

    Interruption(IOException cause) {
      super("the download was interrupted: " + cause.getMessage(), cause);
    }
  }

  /**
   * Downloads the archive of a version to a file, and compares it with the version's digest. Until it is complete, the
   * file has {@code .part} at the end of its name. A download resumes from that file, even in another run of the
   * program.
   *
   * @param interval delay before the next attempt after an interruption; attempts end when nothing has arrived for a
   * minute
   * @throws IOException if the download was interrupted for longer, or if the digest differs, after which nothing is
   * left of it
   * @throws ApiException if the service refuses the request
   */
  public static void version(ApiClient client, AdapterVersion version, Path file, Duration interval)
      throws IOException, ApiException, InterruptedException {
    var part = file.resolveSibling(file.getFileName() + ".part");
    try (var output = new RandomAccessFile(part.toFile(), "rw")) {
      receiveAll(client, version, output, interval);
    }
    try {
      Archives.verify(part, version.getDigest());
    } catch (IOException e) {
      Files.delete(part);
      throw e;
    }
    Files.move(part, file, StandardCopyOption.REPLACE_EXISTING);
  }

  private static void receiveAll(ApiClient client, AdapterVersion version, RandomAccessFile output, Duration interval)
      throws IOException, ApiException, InterruptedException {
    var deadline = Instant.now().plus(STALL_TIMEOUT);
    for (;;) {
      var before = output.length();
      try {
        receive(client, version, output, before);
        return;
      } catch (Interruption e) {
        if (output.length() > before) {
          deadline = Instant.now().plus(STALL_TIMEOUT);
        }
        if (Instant.now().plus(interval).isAfter(deadline)) {
          throw e;
        }
      }
      Thread.sleep(interval.toMillis());
    }
  }

  /** Writes the bytes after the first {@code before}. */
  private static void receive(ApiClient client, AdapterVersion version, RandomAccessFile output, long before)
      throws IOException, ApiException, InterruptedException {
    var answer = ask(client, version, before);
    try (var body = answer.body()) {
      switch (answer.statusCode()) {
        case OK -> write(body, output, 0);
        case PARTIAL_CONTENT -> write(body, output, before);
        case RANGE_NOT_SATISFIABLE -> {
          if (!answer.headers().firstValue("content-range").orElse("").equals("bytes */" + before)) {
            // The file is longer than the archive, so its content is something else.
            output.setLength(0);
            receive(client, version, output, 0);
          }
        }
        default -> {
          var problem = new String(body.readAllBytes(), StandardCharsets.UTF_8);
          throw new ApiException(answer.statusCode(), problem, answer.headers(), problem);
        }
      }
    }
  }

  private static HttpResponse<InputStream> ask(ApiClient client, AdapterVersion version, long before)
      throws Interruption, InterruptedException {
    var path = "/v1/adapters/" + version.getAdapterId() + "/versions/" + version.getId() + "/download";
    var request = HttpRequest.newBuilder(URI.create(client.getBaseUri() + path));
    client.getRequestInterceptor().accept(request);
    if (before > 0) {
      // The ETag of an archive is the digest of its version. If it has changed, all bytes are sent.
      request.header("Range", "bytes=" + before + "-").header("If-Range", '"' + version.getDigest() + '"');
    }
    try {
      return client.getHttpClient().send(request.build(), BodyHandlers.ofInputStream());
    } catch (IOException e) {
      throw new Interruption(e);
    }
  }

  private static void write(InputStream body, RandomAccessFile output, long start) throws IOException {
    output.setLength(start);
    output.seek(start);
    var buffer = new byte[BUFFER_BYTES];
    for (var bytes = read(body, buffer); bytes >= 0; bytes = read(body, buffer)) {
      output.write(buffer, 0, bytes);
    }
  }

  private static int read(InputStream body, byte[] buffer) throws Interruption {
    try {
      return body.read(buffer);
    } catch (IOException e) {
      throw new Interruption(e);
    }
  }
}
