import { z } from 'zod'

type Schema = z.core.JSONSchema.JSONSchema

/** Names of the fields in which values of this shape hold numbers, however deep; `name` for those that are in no field. */
export function numberFields(shape: z.ZodType, name: string): string[] {
  return namesIn(z.toJSONSchema(shape, { io: 'output' }), name)
}

function namesIn(schema: Schema, name: string): string[] {
  const types = [schema.type].flat()
  if (types.includes('number') || types.includes('integer')) return [name]
  const { properties = {}, anyOf = [], allOf = [], oneOf = [], prefixItems = [] } = schema
  const unnamed = [schema.items, schema.additionalProperties, prefixItems, anyOf, allOf, oneOf]
  return [
    ...Object.entries(properties).flatMap(([field, inner]) => namesOf(inner, field)),
    ...unnamed.flat().flatMap((inner) => namesOf(inner, name)),
  ]
}

/** `true` and `false` are schemas too, of anything and of nothing. */
function namesOf(inner: Schema | boolean | undefined, name: string): string[] {
  return typeof inner === 'object' ? namesIn(inner, name) : []
}
