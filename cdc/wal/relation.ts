/** pgoutput's description of a table, sent before its first row and after each change of its shape. */
export type Relation = {
  oid: number
  /** `schema.table` */
  qualifiedName: string
  columns: { name: string; typeOid: number }[]
}

/** Reads a Relation message after its tag. */
export function readRelation(message: Buffer, start: number): Relation {
  let at = start + 4
  const text = (): string => {
    const end = message.indexOf(0, at)
    const value = message.toString('utf8', at, end)
    at = end + 1
    return value
  }
  const schema = text() || 'pg_catalog'
  const name = text()
  const count = message.readUInt16BE(at + 1)
  at += 3
  const columns = Array.from({ length: count }, () => {
    // The key flag is passed over: under REPLICA IDENTITY FULL every column has it.
    at += 1
    const column = { name: text(), typeOid: message.readUInt32BE(at) }
    at += 8
    return column
  })
  return { oid: message.readUInt32BE(start), qualifiedName: `${schema}.${name}`, columns }
}
