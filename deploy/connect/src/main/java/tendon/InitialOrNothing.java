package tendon;

import io.debezium.DebeziumException;
import io.debezium.bean.StandardBeanNames;
import io.debezium.pipeline.spi.Offsets;
import io.debezium.snapshot.mode.InitialSnapshotter;

/**
 * Debezium's <code>snapshot.mode</code> <code>initial</code>, except where it would pass over a gap without a word. Then the
 * connector fails with a code that the feed knows, and is made anew by it, with another slot and another snapshot.
 */
public class InitialOrNothing extends InitialSnapshotter {
  @Override
  public String name() {
    return "tendon";
  }

  /** Debezium would make another slot and go on from there: what was committed in between is never read. */
  @Override
  public boolean shouldSnapshotOnDataError() {
    throw new DebeziumException(
        "TENDON-CDC-004: the replication slot is gone, or does not go back to what this connector has read");
  }

  /** Debezium would take the snapshot again and go on from the end of the WAL at that time, as below. */
  @Override
  public boolean shouldSnapshotData(boolean offsetExists, boolean snapshotInProgress) {
    if (offsetExists && snapshotInProgress)
      throw new DebeziumException("TENDON-CDC-004: the initial snapshot was broken off");
    return super.shouldSnapshotData(offsetExists, snapshotInProgress);
  }

  /**
   * Whether a snapshot whose slot an earlier attempt has made is followed by the end of the WAL as its transaction reads it, or by
   * where the slot begins. A transaction that commits between the moment that the snapshot sees and that reading would be in
   * neither. With an offset there is no snapshot, and another answer would make Debezium stream up to one.
   */
  @Override
  public boolean shouldStreamEventsStartingFromSnapshot() {
    return beanRegistry.lookupByName(StandardBeanNames.OFFSETS, Offsets.class).getTheOnlyOffset() != null;
  }
}
