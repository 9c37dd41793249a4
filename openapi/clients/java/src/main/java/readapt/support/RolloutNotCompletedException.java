package readapt.support;

import readapt.client.model.Rollout;

/** Rollout that has failed or was cancelled. */
public final class RolloutNotCompletedException extends Exception {
  private static final long serialVersionUID = 1L;
  private final transient Rollout rollout;

  RolloutNotCompletedException(Rollout rollout) {
    super("rollout " + rollout.getId() + " has ended without being completed: " + rollout.getState());
    this.rollout = rollout;
  }

  public Rollout getRollout() {
    return rollout;
  }
}
