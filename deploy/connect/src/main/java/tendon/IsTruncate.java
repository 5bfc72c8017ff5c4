package tendon;

import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.transforms.predicates.Predicate;

/**
 * True for the event of a TRUNCATE. Debezium's ExtractNewRecordState drops these (they have neither a before nor an
 * after), so it is applied to all others only.
 */
public class IsTruncate<R extends ConnectRecord<R>> implements Predicate<R> {
  @Override
  public ConfigDef config() {
    return new ConfigDef();
  }

  @Override
  public boolean test(R record) {
    return record.value() instanceof Struct value
        && value.schema().field("op") != null
        && value.schema().field("source") != null
        && "t".equals(value.get("op"));
  }

  @Override
  public void configure(Map<String, ?> configs) {}

  @Override
  public void close() {}
}
