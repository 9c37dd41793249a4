package readapt.support;

import readapt.client.ApiClient;

/** Clients of a service. */
public final class Connection {
  private Connection() {}

  /**
   * Returns a client that sends an API key with every request; give it to the classes of {@code readapt.client.api}.
   *
   * @param url the origin of the service, such as {@code http://localhost:8420}
   */
  public static ApiClient open(String url, String key) {
    var mapper = new FileBodies(ApiClient.createDefaultObjectMapper());
    var client = new ApiClient(ApiClient.createDefaultHttpClientBuilder(), mapper, url);
    client.setRequestInterceptor(request -> {
      FileBodies.putInto(request);
      request.setHeader("Authorization", "Bearer " + key);
    });
    return client;
  }
}
