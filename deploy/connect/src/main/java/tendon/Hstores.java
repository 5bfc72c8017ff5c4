package tendon;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Map;
import java.util.stream.Collectors;

/** An hstore as PostgreSQL writes it: {@code "a"=>"1", "long"=>NULL}, shorter keys first (contrib/hstore, comparePairs). */
final class Hstores {
  private static final Comparator<String> ORDER =
      Comparator.comparing((String key) -> key.getBytes(StandardCharsets.UTF_8), (one, other) ->
          one.length != other.length
              ? Integer.compare(one.length, other.length)
              : Arrays.compareUnsigned(one, other));

  private Hstores() {}

  /** @param value a map, as the driver reads it in a snapshot, or PostgreSQL's text */
  static String text(Object value) {
    if (!(value instanceof Map<?, ?> pairs)) return value.toString();
    return pairs.keySet().stream()
        .map(String.class::cast)
        .sorted(ORDER)
        .map(key -> quoted(key) + "=>" + (pairs.get(key) instanceof String text ? quoted(text) : "NULL"))
        .collect(Collectors.joining(", "));
  }

  private static String quoted(String text) {
    return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
  }
}
