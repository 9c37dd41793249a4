package readapt.support;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeoutException;
import readapt.client.ApiException;
import readapt.client.api.RolloutsApi;
import readapt.client.model.Rollout;

/** Waits for the end of a rollout by polling with its ETag, which costs the service little while nothing changes. */
public final class Waiting {
  private static final int NOT_MODIFIED = 304;
  private static final Set<Integer> ASK_AGAIN = Set.of(429, 503);

  private Waiting() {}

  /**
   * Returns the rollout when it is completed. All its jobs have ended then; its summary has the number that are ready.
   * While the service cannot be reached, it keeps polling.
   *
   * @param interval delay between two polls, unless the service asks for another
   * @throws RolloutNotCompletedException if the rollout has failed or was cancelled
   * @throws TimeoutException if the rollout has not ended in time, for example because it is paused
   * @throws ApiException if the service refuses the request
   */
  public static Rollout forRollout(RolloutsApi api, String id, Duration timeout, Duration interval)
      throws ApiException, RolloutNotCompletedException, TimeoutException, InterruptedException {
    var deadline = Instant.now().plus(timeout);
    var request = RolloutsApi.APIGetRolloutRequest.newBuilder().id(id);
    Rollout rollout = null;
    for (;;) {
      var pause = interval;
      try {
        var answer = api.getRolloutWithHttpInfo(request.build());
        rollout = answer.getData();
        request.ifNoneMatch(String.join(",", answer.getHeaders().getOrDefault("etag", List.of())));
      } catch (ApiException e) {
        pause = pauseAfter(e, interval);
      }
      if (isCompleted(rollout)) {
        return rollout;
      }
      if (Instant.now().plus(pause).isAfter(deadline)) {
        var state = rollout == null ? "not known" : rollout.getState();
        throw new TimeoutException("rollout " + id + " has not ended in time; its state is " + state);
      }
      Thread.sleep(pause.toMillis());
    }
  }

  private static boolean isCompleted(Rollout rollout) throws RolloutNotCompletedException {
    var state = rollout == null ? "not known" : rollout.getState().toString();
    if (state.equals("failed") || state.equals("cancelled")) {
      throw new RolloutNotCompletedException(rollout);
    }
    return state.equals("completed");
  }

  /**
   * Returns the delay after an answer without a rollout.
   *
   * @throws ApiException the answer, if another attempt would not help
   */
  private static Duration pauseAfter(ApiException answer, Duration interval) throws ApiException {
    var cause = answer.getCause();
    var isUnreachable = cause instanceof IOException && !(cause instanceof JsonProcessingException);
    if (answer.getCode() == NOT_MODIFIED || isUnreachable) {
      return interval;
    }
    if (ASK_AGAIN.contains(answer.getCode())) {
      var seconds = answer.getResponseHeaders().firstValueAsLong("retry-after");
      if (seconds.isPresent()) {
        return Duration.ofSeconds(seconds.getAsLong());
      }
    }
    throw answer;
  }
}
