import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** Files of a key and of a certificate for loopback that it signed itself. */
export async function makeCertificate(folder: string): Promise<{ certificate: string; key: string }> {
  const [certificate, key] = [join(folder, 'certificate.pem'), join(folder, 'key.pem')]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
  const subject = ['-subj', '/CN=127.0.0.1', '-days', '2', '-nodes']
  await promisify(execFile)('openssl', [
    'req',
    '-x509',
    ...curve,
    ...subject,
    '-out',
    certificate,
    '-keyout',
    key,
  ])
  return { certificate, key }
}
