package tendon;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.Arrays;
import java.util.stream.Collectors;
import org.postgresql.geometric.PGbox;
import org.postgresql.geometric.PGcircle;
import org.postgresql.geometric.PGline;
import org.postgresql.geometric.PGlseg;
import org.postgresql.geometric.PGpath;
import org.postgresql.geometric.PGpoint;
import org.postgresql.geometric.PGpolygon;

/** Geometric values as PostgreSQL writes them (docs, "Geometric Types"); the driver's own text has Java's numbers. */
final class Geometries {
  private Geometries() {}

  /** @param value as the driver has it, or PostgreSQL's text */
  static String text(Object value) {
    if (value instanceof PGpoint point) return point(point);
    if (value instanceof PGline line) return "{" + number(line.a) + "," + number(line.b) + "," + number(line.c) + "}";
    if (value instanceof PGlseg segment) return "[" + points(segment.point) + "]";
    if (value instanceof PGbox box) return points(box.point);
    if (value instanceof PGpath path) return path.open ? "[" + points(path.points) + "]" : "(" + points(path.points) + ")";
    if (value instanceof PGpolygon polygon) return "(" + points(polygon.points) + ")";
    if (value instanceof PGcircle circle) return "<" + point(circle.center) + "," + number(circle.radius) + ">";
    return value.toString();
  }

  private static String points(PGpoint[] points) {
    return Arrays.stream(points).map(Geometries::point).collect(Collectors.joining(","));
  }

  private static String point(PGpoint point) {
    return "(" + number(point.x) + "," + number(point.y) + ")";
  }

  /**
   * The fewest digits that are read back as the same number, with an exponent below 1e-4 and from 1e15 on (PostgreSQL,
   * src/common/d2s.c). Those of Double.toString are not always the fewest before Java 19 (JDK-4511638).
   */
  private static String number(double value) {
    if (value == 0 || Double.isNaN(value) || Double.isInfinite(value)) {
      String text = String.valueOf(value);
      return text.endsWith(".0") ? text.substring(0, text.length() - 2) : text;
    }
    BigDecimal exact = new BigDecimal(value);
    BigDecimal shortest = exact;
    for (int digits = 1; digits <= 17; digits++) {
      shortest = exact.round(new MathContext(digits));
      if (shortest.doubleValue() == value) break;
    }
    BigDecimal stripped = shortest.stripTrailingZeros();
    int exponent = stripped.precision() - stripped.scale() - 1;
    if (exponent >= -4 && exponent < 15) return stripped.toPlainString();
    String mantissa = stripped.scaleByPowerOfTen(-exponent).toPlainString();
    return mantissa + (exponent < 0 ? "e-" : "e+") + (Math.abs(exponent) < 10 ? "0" : "") + Math.abs(exponent);
  }
}
