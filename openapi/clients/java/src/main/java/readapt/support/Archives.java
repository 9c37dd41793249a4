package readapt.support;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.TreeMap;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;

/** Uncompressed tar archives of PEFT folders, the format in which adapters are uploaded. */
public final class Archives {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int BUFFER_BYTES = 1 << 16;

  private Archives() {}

  /** Writes the files of a PEFT folder to a temporary archive, which can be uploaded. */
  public static File ofAdapter(Path folder) throws IOException {
    var archive = Files.createTempFile("adapter-", ".tar");
    try (var tar = new TarArchiveOutputStream(Files.newOutputStream(archive)); var files = Files.list(folder)) {
      for (var file : (Iterable<Path>) files.sorted()::iterator) {
        tar.putArchiveEntry(new TarArchiveEntry(file.toFile(), file.getFileName().toString()));
        Files.copy(file, tar);
        tar.closeArchiveEntry();
      }
    }
    return archive.toFile();
  }

  /**
   * Compares a downloaded archive with the digest of its adapter version.
   *
   * @throws IOException if they differ, or if the file is no archive
   */
  public static void verify(Path archive, String digest) throws IOException {
    var found = folderDigest(archive);
    if (!found.equals(digest)) {
      throw new IOException(archive + " has the digest " + found + ", expected " + digest);
    }
  }

  /**
   * Computes SHA-256 of a heading and a line {@code ["path",bytes,"sha256"]} for each file, in the order of the paths.
   */
  private static String folderDigest(Path archive) throws IOException {
    var lines = new TreeMap<String, String>();
    try (var tar = new TarArchiveInputStream(Files.newInputStream(archive))) {
      for (var entry = tar.getNextEntry(); entry != null; entry = tar.getNextEntry()) {
        if (entry.isFile()) {
          var path = entry.getName().substring(entry.getName().indexOf('/') + 1);
          lines.put(path, JSON.writeValueAsString(List.of(path, entry.getSize(), sha256(tar))) + "\n");
        }
      }
    }
    var text = "readapt folder 1\n" + String.join("", lines.values());
    return "sha256:" + HexFormat.of().formatHex(newSha256().digest(text.getBytes(StandardCharsets.UTF_8)));
  }

  private static String sha256(InputStream content) throws IOException {
    var hash = newSha256();
    var buffer = new byte[BUFFER_BYTES];
    for (var bytes = content.read(buffer); bytes >= 0; bytes = content.read(buffer)) {
      hash.update(buffer, 0, bytes);
    }
    return HexFormat.of().formatHex(hash.digest());
  }

  private static MessageDigest newSha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("Every Java platform has SHA-256.", e);
    }
  }
}
