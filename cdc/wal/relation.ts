/** pgoutput's description of a table, sent before its first row and after each change of its shape. */
export type Relation = {
  oid: number
  /** `schema.table` */
  qualifiedName: string
  columns: { name: string; typeOid: number }[]
  /** Names of the columns that tell which row an UPDATE or a DELETE is of; undefined where that is all of the row, or nothing. */
  identity: string[] | undefined
}

const [identityDefault, identityIndex] = [0x64 /* d */, 0x69 /* i */]

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
  // Under REPLICA IDENTITY FULL every column is flagged as the key's.
  const isPartial = [identityDefault, identityIndex].includes(message[at]!)
  const count = message.readUInt16BE(at + 1)
  at += 3
  const identity: string[] = []
  const columns = Array.from({ length: count }, () => {
    const isKey = message[at] === 1
    at += 1
    const column = { name: text(), typeOid: message.readUInt32BE(at) }
    if (isKey) identity.push(column.name)
    at += 8
    return column
  })
  return {
    oid: message.readUInt32BE(start),
    qualifiedName: `${schema}.${name}`,
    columns,
    identity: isPartial ? identity : undefined,
  }
}
