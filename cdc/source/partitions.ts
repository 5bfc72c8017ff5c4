/**
 * A table and its partitions at every depth, as a subquery of one column `oid`; those that are being detached are none any more.
 *
 * By pg_inherits and not by pg_partition_tree, which would wait for the locks of every partition: of a table that is held by
 * another session of ours, with an ALTER between the two, for ever.
 * @param root SQL of the table's oid, which may be a column of the query around it
 */
export const partsSql = (root: string): string => `(
    WITH RECURSIVE parts (oid) AS (
      SELECT ${root}
      UNION ALL
      SELECT i.inhrelid
      FROM parts
      JOIN pg_class p ON p.oid = parts.oid AND p.relkind = 'p'
      JOIN pg_inherits i ON i.inhparent = p.oid AND NOT i.inhdetachpending
    )
    SELECT oid FROM parts
  )`
