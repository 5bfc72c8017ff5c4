import { expect, test } from 'vitest'
import { invalidateRequest } from './reports-api.ts'

test('a customer’s id is whatever a uuid column of PostgreSQL holds, of no version that RFC 9562 knows either', () => {
  const user_id = '11111111-1111-1111-1111-111111111111'
  expect(invalidateRequest.parse({ user_id })).toEqual({ user_id })
  expect(invalidateRequest.parse({ user_ids: [user_id] })).toEqual({ user_ids: [user_id] })
  expect(invalidateRequest.safeParse({ user_id: 'alice' }).success).toBe(false)
})
