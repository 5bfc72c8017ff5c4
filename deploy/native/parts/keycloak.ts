import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { needJava, say } from '../install.ts'
import { answers, cache, deployFile, type Part, portOf, runFolder, webOrigin } from '../part.ts'
import { directoryPassword, openldap } from './openldap.ts'

const version = '26.7.3'
const port = portOf(18_180)
const managementPort = portOf(19_180)
const url = `http://localhost:${port}`

/** For loopback only. `bff` and so on are the clients of deploy/keycloak/tendon-realm.json. */
const secrets = {
  OIDC_BFF_SECRET: 'bff-on-loopback',
  OIDC_CDC_SECRET: 'cdc-on-loopback',
  OIDC_ETL_SECRET: 'etl-on-loopback',
}
const admin = { user: 'admin', password: 'admin-on-loopback' }

/** As bin/kc.sh calls it, without the shell in between, whose pid would be the one that is stopped. */
function javaArgs(distribution: string, home: string): string[] {
  return [
    ...['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xms64m', '-Xmx320m', '-XX:MaxMetaspaceSize=256m'],
    '-Dfile.encoding=UTF-8',
    '-Djava.util.concurrent.ForkJoinPool.common.threadFactory=io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory',
    ...['util', 'util.concurrent', 'security', 'lang'].map(
      (name) => `--add-opens=java.base/java.${name}=ALL-UNNAMED`,
    ),
    `-Dkc.home.dir=${home}`,
    `-Djboss.server.config.dir=${join(home, 'conf')}`,
    '-Djava.util.logging.manager=org.jboss.logmanager.LogManager',
    '-Dpicocli.disable.closures=true',
    ...['-cp', join(distribution, 'lib', 'quarkus-run.jar'), 'io.quarkus.bootstrap.runner.QuarkusEntryPoint'],
  ]
}

/** From Maven Central, with its build step done, which takes longer than a start. @returns its folder */
function keycloakDistribution(): string {
  needJava()
  const folder = join(cache, 'keycloak', version)
  if (existsSync(folder)) return folder
  say(`fetching and building Keycloak ${version} (a minute or two, once)`)
  const unfinished = join(cache, 'keycloak', `unfinished.${process.pid}`)
  const unpacked = join(unfinished, `keycloak-${version}`)
  const artifact = `org.keycloak:keycloak-quarkus-dist:${version}:zip`
  const quietly = { stdio: ['ignore', 'ignore', 'inherit'] as const }
  mkdirSync(unfinished, { recursive: true })
  try {
    execFileSync(
      'mvn',
      [
        '--batch-mode',
        '--quiet',
        'dependency:unpack',
        `-Dartifact=${artifact}`,
        `-DoutputDirectory=${unfinished}`,
      ],
      { stdio: [...quietly.stdio], cwd: unfinished },
    )
    const build = ['build', '--db=dev-file', '--health-enabled=true']
    execFileSync('java', [...javaArgs(unpacked, unpacked), ...build], { stdio: [...quietly.stdio] })
    renameSync(unpacked, folder)
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
  return folder
}

/**
 * A home of this stack's own, for data and the realm to import; the programs are those of the distribution. A realm
 * is imported once, with the web origin as it was: for another one the home is made anew (its people are the
 * directory's, so that nothing but sessions is lost).
 */
function prepareHome(distribution: string): string {
  const home = join(runFolder, 'keycloak')
  const originFile = join(home, 'web-origin')
  if (existsSync(originFile) && readFileSync(originFile, 'utf8') === webOrigin) return home
  rmSync(home, { recursive: true, force: true })
  mkdirSync(join(home, 'data', 'import'), { recursive: true })
  mkdirSync(join(home, 'providers'))
  symlinkSync(join(distribution, 'lib'), join(home, 'lib'))
  cpSync(join(distribution, 'conf'), join(home, 'conf'), { recursive: true })
  cpSync(deployFile('keycloak/tendon-realm.json'), join(home, 'data', 'import', 'tendon-realm.json'))
  writeFileSync(originFile, webOrigin)
  return home
}

export const keycloak: Part = {
  name: 'keycloak',
  port,
  needs: ['openldap'],
  usesWebOrigin: true,
  prepare() {
    const distribution = keycloakDistribution()
    const home = prepareHome(distribution)
    return {
      program: 'java',
      args: [
        ...javaArgs(distribution, home),
        ...['start', '--optimized', '--import-realm', '--http-enabled=true', '--cache=local'],
        ...['--http-host=127.0.0.1', `--http-port=${port}`, `--http-management-port=${managementPort}`],
        `--hostname=${url}`,
      ],
      env: {
        ...secrets,
        LDAP_URL: `ldap://127.0.0.1:${openldap.port}`,
        LDAP_BIND_PASSWORD: directoryPassword,
        BFF_URL: webOrigin,
        BFF_BACKCHANNEL_URL: `http://127.0.0.1:${new URL(webOrigin).port || '80'}`,
        KC_BOOTSTRAP_ADMIN_USERNAME: admin.user,
        KC_BOOTSTRAP_ADMIN_PASSWORD: admin.password,
      },
    }
  },
  // Its schema and the realm take most of the first start.
  startTimeoutMs: 180_000,
  ready: () => answers(`http://127.0.0.1:${managementPort}/health/ready`),
  exports: () => ({
    OIDC_ISSUER: `${url}/realms/tendon`,
    ...secrets,
    KEYCLOAK_ADMIN_USER: admin.user,
    KEYCLOAK_ADMIN_PASSWORD: admin.password,
  }),
}
