import { expect, test } from 'vitest'
import { misspeltVariables } from './misspelt-variables.ts'

const known = ['CRM_DATABASE_URL', 'CDC_CLIENT_ID', 'ETL_CLIENT_ID', 'PORT']
const meant = (name: string) => misspeltVariables({ [name]: 'set' }, known).map((pair) => pair.meant)

test.each([
  ['too few', 'CRM_DATABSE_URL'],
  ['too many', 'CRM_DATABASEE_URL'],
  ['too many at the end', 'CRM_DATABASE_URLS'],
  ['another', 'CRN_DATABASE_URL'],
  ['two swapped', 'CRM_DATABAES_URL'],
])('one letter wrong is found: %s', (_what, name) => {
  expect(meant(name)).toEqual(['CRM_DATABASE_URL'])
})

test.each([
  'CRM_DATABASE_URL',
  'CRM_DATABASE',
  'CRM_DATBSE_URL',
  'DATABASE_URL',
  'SORT',
  'PORTS',
  'ETL_CLIENT_ID',
])('%s is left alone', (name) => {
  expect(meant(name)).toEqual([])
})
