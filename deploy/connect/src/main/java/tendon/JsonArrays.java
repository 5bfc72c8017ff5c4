package tendon;

import java.sql.SQLException;
import java.util.Set;
import org.apache.kafka.connect.errors.DataException;
import org.postgresql.util.PGInterval;

/**
 * An array as a JSON array, from PostgreSQL's text (docs, "Array Input and Output Syntax"): {@code {1,NULL,"a,b"}},
 * nested for each dimension. Elements are written as the change feed of cdc/ writes them (json-array.ts,
 * json-text.ts), so that both give the same value.
 */
final class JsonArrays {
  private static final Set<String> INTEGERS = Set.of("int2", "int4", "int8");
  private static final Set<String> FLOATS = Set.of("float4", "float8");
  private static final Set<String> TIMES = Set.of("date", "timestamp", "timestamptz");
  private static final String SHORT_ESCAPES = "\b\t\n\f\r\"\\";
  private static final String SHORT_LETTERS = "btnfr\"\\";

  private final String elementType;

  /** @param elementType name in pg_catalog, once domains are taken off */
  JsonArrays(String elementType) {
    this.elementType = elementType;
  }

  String json(String array) {
    // The one type whose elements are not separated by commas.
    if (elementType.equals("box")) return array;
    StringBuilder json = new StringBuilder(array.length() + 16);
    int at = array.startsWith("{") ? 0 : array.indexOf('=') + 1;
    while (at < array.length()) {
      char next = array.charAt(at);
      if (next == '{' || next == '}' || next == ',') {
        json.append(next == '{' ? '[' : next == '}' ? ']' : ',');
        at++;
      } else if (next == '"') at = quoted(array, at + 1, json);
      else at = bare(array, at, json);
    }
    return json.toString();
  }

  private int bare(String array, int start, StringBuilder json) {
    int end = start;
    while (array.charAt(end) != ',' && array.charAt(end) != '}') end++;
    String element = array.substring(start, end);
    if (element.equals("NULL")) json.append("null");
    else write(element, json);
    return end;
  }

  private int quoted(String array, int start, StringBuilder json) {
    StringBuilder element = new StringBuilder();
    int at = start;
    for (; array.charAt(at) != '"'; at++) {
      if (array.charAt(at) == '\\') at++;
      element.append(array.charAt(at));
    }
    write(element.toString(), json);
    return at + 1;
  }

  private void write(String element, StringBuilder json) {
    if (INTEGERS.contains(elementType)) json.append(element);
    else if (FLOATS.contains(elementType)) json.append(number(element));
    else if (elementType.equals("bool")) json.append(element.equals("t") ? "true" : "false");
    else if (TIMES.contains(elementType)) string(Times.text(element), json);
    else if (elementType.equals("bytea")) string(element.substring(2), json);
    else if (elementType.equals("interval")) string(interval(element), json);
    else string(element, json);
  }

  private static String interval(String text) {
    try {
      return Intervals.text(new PGInterval(text));
    } catch (SQLException cause) {
      throw new DataException("not an interval: " + text, cause);
    }
  }

  /** JSON has no NaN and no infinities; -0 needs its point to keep its sign. */
  private static String number(String text) {
    char last = text.charAt(text.length() - 1);
    if (last < '0' || last > '9') return '"' + text + '"';
    return text.equals("-0") ? "-0.0" : text;
  }

  private static void string(String text, StringBuilder json) {
    json.append('"');
    for (int at = 0; at < text.length(); at++) {
      char next = text.charAt(at);
      int escape = SHORT_ESCAPES.indexOf(next);
      if (escape >= 0) json.append('\\').append(SHORT_LETTERS.charAt(escape));
      else if (next < 0x20) json.append(String.format("\\u%04X", (int) next));
      else json.append(next);
    }
    json.append('"');
  }
}
