import type { prosthesisIdentity } from '@tendon/contracts/prosthesis-daily.ts'
import type { z } from 'zod'
import { LiveText } from './live/live-text.tsx'

/** What a prosthesis is, above its numbers. */
export function ProsthesisHead({ prosthesis }: { prosthesis: z.infer<typeof prosthesisIdentity> }) {
  return (
    <header className="card-head">
      <h2 id={`model-${prosthesis.prosthesis_id}`}>
        <LiveText text={prosthesis.model} />
      </h2>
      <dl className="identity">
        <div>
          <dt>Side</dt>
          <dd className="side">
            <LiveText text={prosthesis.side} />
          </dd>
        </div>
        <div>
          <dt>Serial</dt>
          <dd className="code">{prosthesis.serial_number}</dd>
        </div>
        <div>
          <dt>Firmware</dt>
          <dd className="code">
            <LiveText text={prosthesis.firmware_version} />
          </dd>
        </div>
      </dl>
    </header>
  )
}
