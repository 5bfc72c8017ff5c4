import { request } from 'node:http'
import { join } from 'node:path'
import { debianProgram } from '../install.ts'
import { deployFile, type Part, portOf, runFolder, webOrigin } from '../part.ts'
import { minio } from './minio.ts'

const port = portOf(18_090)
const folder = join(runFolder, 'cdn')
/** For loopback only, as all credentials here. */
const signingKeys = 'native2:a-signing-secret-on-loopback-0123456,native1:the-secret-before-that-on-loopback'

/** nginx in front of MinIO, with the very files that compose mounts. */
export const cdn: Part = {
  name: 'cdn',
  port,
  needs: ['minio'],
  usesWebOrigin: true,
  prepare() {
    const modules = ['ndk', 'set-misc', 'js'].map((name) => `libnginx-mod-http-${name}`)
    debianProgram('nginx', 'nginx-light', ...modules)
    return {
      program: deployFile('../cdn/nginx/start.sh'),
      args: [],
      env: {
        ...minio.exports(),
        CDN_RUN: folder,
        CDN_LISTEN: `127.0.0.1:${port}`,
        CDN_SIGNING_KEYS: signingKeys,
        CDN_WEB_ORIGIN: webOrigin,
      },
    }
  },
  ready: () =>
    new Promise((resolve) => {
      const asked = request({ socketPath: join(folder, 'operations.sock'), path: '/healthz' }, (answer) => {
        answer.resume()
        resolve(answer.statusCode === 200)
      })
      asked.on('error', () => resolve(false)).end()
    }),
  exports: () => ({ CDN_BASE_URL: `http://127.0.0.1:${port}`, CDN_SIGNING_KEYS: signingKeys }),
}
