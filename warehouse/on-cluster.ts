/**
 * The same DDL for a cluster: run on every node, with replicated tables (ClickHouse docs, "Distributed DDL" and
 * "Data Replication"; the replica's path comes from the server's default_replica_path).
 * @param cluster as in the server's remote_servers
 */
export function onCluster(statement: string, cluster: string): string {
  return statement
    .replace(
      /^((?:CREATE (?:DATABASE|TABLE|VIEW|MATERIALIZED VIEW) IF NOT EXISTS|ALTER TABLE) [\w.`]+)/,
      `$1 ON CLUSTER '${cluster.replace(/[\\']/g, '\\$&')}'`,
    )
    .replace(/\bENGINE = (\w*MergeTree)\b/, 'ENGINE = Replicated$1')
}
