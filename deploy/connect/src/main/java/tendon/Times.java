package tendon;

import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.Calendar;
import java.util.GregorianCalendar;
import java.util.TimeZone;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Dates and times as ISO 8601 in UTC, {@code 2024-01-02Z} and {@code 2024-01-02T03:04:05.678Z}. Years before 1 and after
 * 9999 have a sign; infinities stay words. A snapshot has PostgreSQL's text, or JDBC's date; the stream has Java's types,
 * in which the driver marks infinity by values far beyond what PostgreSQL can hold.
 */
final class Times {
  private static final Pattern TEXT =
      Pattern.compile("(\\d+)-(\\d\\d)-(\\d\\d)(?: ([\\d:.]+)(?:\\+00)?)?( BC)?");
  private static final int LAST_YEAR = 5_874_897;
  private static final int FIRST_YEAR = -4_712;
  private static final TimeZone UTC = TimeZone.getTimeZone("UTC");

  private Times() {}

  static String date(Object value) {
    if (value instanceof LocalDate date) return date(date.getYear(), date.getMonthValue(), date.getDayOfMonth());
    if (value instanceof java.sql.Date date) {
      Calendar calendar = new GregorianCalendar(UTC);
      calendar.setTime(date);
      boolean isBeforeChrist = calendar.get(Calendar.ERA) == GregorianCalendar.BC;
      int year = isBeforeChrist ? 1 - calendar.get(Calendar.YEAR) : calendar.get(Calendar.YEAR);
      return date(year, calendar.get(Calendar.MONTH) + 1, calendar.get(Calendar.DAY_OF_MONTH));
    }
    return text(value.toString());
  }

  private static String date(int year, int month, int day) {
    return isInfinite(year) ? infinity(year) : day(year, month, day) + "Z";
  }

  static String instant(Object value) {
    if (value instanceof OffsetDateTime time) return instant(time.withOffsetSameInstant(ZoneOffset.UTC).toLocalDateTime());
    if (value instanceof Instant time) return instant(LocalDateTime.ofInstant(time, ZoneOffset.UTC));
    if (value instanceof LocalDateTime time) return instant(time);
    return text(value.toString());
  }

  private static String instant(LocalDateTime time) {
    int year = time.getYear();
    if (isInfinite(year)) return infinity(year);
    String seconds = String.format("%02d:%02d:%02d", time.getHour(), time.getMinute(), time.getSecond());
    return day(year, time.getMonthValue(), time.getDayOfMonth()) + "T" + seconds + fraction(time.getNano()) + "Z";
  }

  private static String fraction(int nanos) {
    if (nanos == 0) return "";
    return "." + String.format("%06d", nanos / 1000).replaceFirst("0+$", "");
  }

  /** From PostgreSQL's text (datestyle ISO, timezone UTC). */
  static String text(String text) {
    Matcher parts = TEXT.matcher(text);
    if (!parts.matches()) return text;
    // ISO 8601 has a year 0, which is 1 BC.
    int year = Integer.parseInt(parts.group(1));
    String day = day(parts.group(5) == null ? year : 1 - year, number(parts.group(2)), number(parts.group(3)));
    return parts.group(4) == null ? day + "Z" : day + "T" + parts.group(4) + "Z";
  }

  private static int number(String digits) {
    return Integer.parseInt(digits);
  }

  private static String day(int year, int month, int day) {
    String sign = year < 0 ? "-" : year > 9999 ? "+" : "";
    return sign + String.format("%04d-%02d-%02d", Math.abs(year), month, day);
  }

  private static boolean isInfinite(int year) {
    return year > LAST_YEAR || year < FIRST_YEAR;
  }

  private static String infinity(int year) {
    return year > 0 ? "infinity" : "-infinity";
  }
}
