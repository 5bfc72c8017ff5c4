import type { ReportFormat } from '@tendon/contracts/report-envelope.ts'
import { useState } from 'react'
import { getFile, getReportLink, type ReportQuery } from '../api.ts'

const files: { format: ReportFormat; label: string }[] = [
  { format: 'csv', label: 'CSV' },
  { format: 'parquet', label: 'Parquet' },
  { format: 'json', label: 'JSON' },
]

/** The same report as a file. */
export function Downloads({ query }: { query: ReportQuery }) {
  const [state, setState] = useState<'idle' | 'busy' | 'failed'>('idle')

  async function save(format: ReportFormat) {
    setState('busy')
    try {
      const { url } = await getReportLink(query, { signal: new AbortController().signal }, format)
      // Through a blob: a link to another origin would be opened and not saved, and under the object's long name.
      const address = URL.createObjectURL(await getFile(url))
      const link = document.createElement('a')
      link.href = address
      link.download = `${query.name}-${query.date}.${format}`
      link.click()
      URL.revokeObjectURL(address)
      setState('idle')
    } catch {
      setState('failed')
    }
  }

  return (
    <div className="downloads">
      <span id="downloads-label">Take a copy with you</span>
      {files.map(({ format, label }) => (
        <button
          key={format}
          type="button"
          className="button quiet small"
          disabled={state === 'busy'}
          aria-describedby="downloads-label"
          onClick={() => save(format)}
        >
          {label}
        </button>
      ))}
      {state === 'failed' && <span role="alert">That did not work. Please try again.</span>}
    </div>
  )
}
