/**
 * Why a server could not be started:
 * `CHDB_LOCKED`: another process holds the data folder; `CHDB_PLATFORM`: libchdb is not built for this machine;
 * `CHDB_START`: anything else, such as a folder that is not a ClickHouse data folder or a port that is taken.
 */
export type ChdbServerErrorCode = 'CHDB_LOCKED' | 'CHDB_PLATFORM' | 'CHDB_START'

/** A server that could not be started. `message` is a whole sentence that says what happened and what to do. */
export class ChdbServerError extends Error {
  override readonly name = 'ChdbServerError'
  readonly code: ChdbServerErrorCode

  constructor(code: ChdbServerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
