import { z } from 'zod'

/** How a column's values are kept where a table has types. */
export type ColumnType = 'text' | 'integer' | 'number' | 'truth' | 'day' | 'time'
export type TableColumn = { name: string; type: ColumnType }

const plain = z.object({
  type: z.enum(['string', 'integer', 'number', 'boolean']),
  format: z.string().optional(),
})
/**
 * The columns of a row's schema, in their order; each may be null.
 * @throws ZodError for one that is neither text, number nor truth value
 */
export function tableColumns(row: z.ZodObject): TableColumn[] {
  return Object.entries<z.ZodType>(row.shape).map(([name, type]) => {
    const inner = type instanceof z.ZodNullable ? (type.unwrap() as z.ZodType) : type
    return { name, type: columnType(plain.parse(z.toJSONSchema(inner, { io: 'output' }))) }
  })
}

function columnType({ type, format }: z.infer<typeof plain>): ColumnType {
  if (type === 'string') return format === 'date' ? 'day' : format === 'date-time' ? 'time' : 'text'
  return type === 'boolean' ? 'truth' : type
}
