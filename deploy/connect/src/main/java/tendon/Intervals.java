package tendon;

import java.math.BigDecimal;
import org.postgresql.util.PGInterval;

/** Intervals as PostgreSQL writes them under intervalstyle = iso_8601: {@code P1Y2M-3DT4H5M6.7S}. */
final class Intervals {
  private Intervals() {}

  static String text(PGInterval interval) {
    StringBuilder text = new StringBuilder("P");
    part(interval.getYears(), 'Y', text);
    part(interval.getMonths(), 'M', text);
    part(interval.getDays(), 'D', text);
    BigDecimal seconds =
        BigDecimal.valueOf(interval.getWholeSeconds())
            .add(BigDecimal.valueOf(interval.getMicroSeconds(), 6))
            .stripTrailingZeros();
    int dateEnd = text.length();
    part(interval.getHours(), 'H', text);
    part(interval.getMinutes(), 'M', text);
    if (seconds.signum() != 0) text.append(seconds.toPlainString()).append('S');
    if (text.length() > dateEnd) text.insert(dateEnd, 'T');
    return text.length() == 1 ? "PT0S" : text.toString();
  }

  private static void part(int count, char unit, StringBuilder text) {
    if (count != 0) text.append(count).append(unit);
  }
}
