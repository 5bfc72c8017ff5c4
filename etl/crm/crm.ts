import type { Problem } from './ownership.ts'

/** A prosthesis as the CRM has it now, with where its customer lives. */
export type CrmProsthesis = {
  prosthesisId: string
  userId: string
  chipId: string
  modelId: number
  firmwareVersion: string
  /** Days since 1970-01-01. */
  issuedDay: number
  returnedDay: number | null
  /** Empty while the customer is not known. */
  timeZone: string
}

/** The CRM at one moment. */
export type CrmView = {
  /** Newest change that is in it, as `_version` of the replicas counts; 0 where the CRM itself was read. */
  version: string
  prostheses: CrmProsthesis[]
  modelIds: ReadonlySet<number>
}

/** Reads customers, prostheses and models on one snapshot. */
export type ReadCrm = () => Promise<CrmView>

/** Models that prostheses name and the catalogue does not have. */
export function unknownModels({ prostheses, modelIds }: CrmView): Problem[] {
  const missing = new Set(prostheses.flatMap(({ modelId }) => (modelIds.has(modelId) ? [] : [modelId])))
  return [...missing].map((id) => ({
    kind: 'unknown_model',
    subject: String(id),
    detail: 'prostheses are of this model, which the catalogue does not have',
  }))
}
