package tendon;

import io.debezium.spi.converter.CustomConverter;
import io.debezium.spi.converter.RelationalColumn;
import java.math.BigDecimal;
import java.sql.SQLException;
import java.sql.SQLXML;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.function.Function;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.errors.DataException;
import org.postgresql.util.PGInterval;

/**
 * Values as the change feed of cdc/ has them (json-text.ts): integers, floats and booleans are JSON's, arrays a JSON array
 * in a text, times ISO 8601, bytes hexadecimal digits, and all else PostgreSQL's own text.
 *
 * <p>What Debezium 3.7.0 itself makes of some of them loses something: an array of two dimensions becomes NULLs, a numeric
 * array with a NaN, or an unchanged one out of line, NULL, 24:00:00 becomes 00:00:00, timetz loses its zone. And every
 * field may be null here: where the table's definition is ahead of the stream, Debezium puts 0 or an empty text for
 * a NULL that a column does not take any more.
 */
public class PostgresText implements CustomConverter<SchemaBuilder, RelationalColumn> {
  private static final Map<String, Function<Object, String>> TEXTS =
      Map.ofEntries(
          Map.entry("numeric", PostgresText::numeric),
          Map.entry("date", Times::date),
          Map.entry("timestamp", Times::instant),
          Map.entry("timestamptz", Times::instant),
          Map.entry("interval", value -> Intervals.text((PGInterval) value)),
          Map.entry("bytea", value -> HexFormat.of().formatHex((byte[]) value)),
          Map.entry("point", Geometries::text),
          Map.entry("line", Geometries::text),
          Map.entry("lseg", Geometries::text),
          Map.entry("box", Geometries::text),
          Map.entry("path", Geometries::text),
          Map.entry("polygon", Geometries::text),
          Map.entry("circle", Geometries::text),
          Map.entry("hstore", Hstores::text),
          Map.entry("money", value -> money((BigDecimal) value)),
          Map.entry("bit", PostgresText::bits),
          Map.entry("xml", PostgresText::xml));

  private String unavailable;
  /** Base types of domains, by name. */
  private final Map<String, String> domains = new HashMap<>();

  @Override
  public void configure(Properties properties) {
    unavailable = properties.getProperty("unavailable");
    for (String domain : properties.getProperty("domains", "").split(",")) {
      int equals = domain.lastIndexOf('=');
      if (equals > 0) domains.put(domain.substring(0, equals), domain.substring(equals + 1));
    }
  }

  @Override
  public void converterFor(RelationalColumn column, ConverterRegistration<SchemaBuilder> registration) {
    String type = baseOf(column.typeName());
    switch (type) {
      case "int2", "int4", "int8", "oid", "smallserial", "serial", "bigserial" ->
          register(registration, SchemaBuilder.int64(), value -> ((Number) value).longValue());
      case "float4" -> register(registration, SchemaBuilder.float32(), value -> ((Number) value).floatValue());
      case "float8" -> register(registration, SchemaBuilder.float64(), value -> ((Number) value).doubleValue());
      case "bool" -> register(registration, SchemaBuilder.bool(), value -> (Boolean) value);
      default -> registration.register(SchemaBuilder.string().optional(), texts(textOf(type)));
    }
  }

  private static void register(
      ConverterRegistration<SchemaBuilder> registration, SchemaBuilder schema, Function<Object, Object> convert) {
    registration.register(schema.optional(), value -> value == null ? null : orNoDefault(convert, value));
  }

  private Converter texts(Function<Object, String> text) {
    return value -> {
      if (value == null) return null;
      // How the connector marks what an UPDATE left unchanged out of line.
      return value.getClass() == Object.class ? unavailable : orNoDefault(text, value);
    };
  }

  /**
   * Debezium takes a column's default from the table as it is now, when the column may have another type than at the time of
   * the change. Nothing is made of defaults here, so that such a one is left out.
   */
  private static <Result> Result orNoDefault(Function<Object, Result> convert, Object value) {
    try {
      return convert.apply(value);
    } catch (RuntimeException cause) {
      if (isDefault()) return null;
      throw cause;
    }
  }

  /** Whether a schema is made, for which the only values are defaults. */
  private static boolean isDefault() {
    return StackWalker.getInstance().walk(frames ->
        frames.anyMatch(frame ->
            frame.getClassName().equals("io.debezium.relational.TableSchemaBuilder")
                && frame.getMethodName().equals("addField")));
  }

  private Function<Object, String> textOf(String type) {
    if (!type.startsWith("_")) return TEXTS.getOrDefault(type, Object::toString);
    JsonArrays arrays = new JsonArrays(baseOf(type.substring(1)));
    return value -> arrays.json(value.toString());
  }

  private String baseOf(String type) {
    return domains.getOrDefault(type, type);
  }

  private static String numeric(Object value) {
    return switch (value.toString()) {
      case "NAN" -> "NaN";
      case "POSITIVE_INFINITY" -> "Infinity";
      case "NEGATIVE_INFINITY" -> "-Infinity";
      default -> value instanceof BigDecimal number ? number.toPlainString() : value.toString();
    };
  }

  /** One bit is a boolean to JDBC. */
  private static String bits(Object value) {
    return value instanceof Boolean bit ? (bit ? "1" : "0") : value.toString();
  }

  /** As the server writes it under lc_monetary = C. */
  private static String money(BigDecimal amount) {
    return (amount.signum() < 0 ? "-$" : "$") + String.format(Locale.ROOT, "%,.2f", amount.abs());
  }

  private static String xml(Object value) {
    try {
      return value instanceof SQLXML document ? document.getString() : value.toString();
    } catch (SQLException cause) {
      throw new DataException("XML that cannot be read", cause);
    }
  }
}
