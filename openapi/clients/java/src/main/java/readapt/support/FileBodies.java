package readapt.support;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.FileNotFoundException;
import java.io.UncheckedIOException;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.nio.file.Path;

/**
 * Sends files as they are. The generated code writes every request body as JSON, just before it hands the request to
 * the interceptor. This mapper keeps a file back, and the interceptor makes it the body, which is read while it is
 * sent.
 */
final class FileBodies extends ObjectMapper {
  private static final long serialVersionUID = 1L;
  private static final ThreadLocal<Path> FILE = new ThreadLocal<>();

  FileBodies(ObjectMapper source) {
    super(source);
  }

  @Override
  public ObjectMapper copy() {
    return new FileBodies(this);
  }

  @Override
  public byte[] writeValueAsBytes(Object body) throws JsonProcessingException {
    if (body instanceof File file) {
      FILE.set(file.toPath());
      return new byte[0];
    }
    return super.writeValueAsBytes(body);
  }

  /** Makes the file that was kept back, if any, the body of the request. */
  static void putInto(HttpRequest.Builder request) {
    var file = FILE.get();
    if (file == null) {
      return;
    }
    FILE.remove();
    try {
      request.POST(BodyPublishers.ofFile(file));
    } catch (FileNotFoundException e) {
      throw new UncheckedIOException(e);
    }
  }
}
