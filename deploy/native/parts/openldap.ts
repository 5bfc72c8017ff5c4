import { join } from 'node:path'
import { debianProgram } from '../install.ts'
import { deployFile, type Part, portOf, runFolder } from '../part.ts'

const port = portOf(13_389)

/** Of the services that deploy/ldap/seed.ldif names; it holds the demo's people and nothing else. */
export const directoryPassword = 'ldap-on-loopback'

export const openldap: Part = {
  name: 'openldap',
  port,
  prepare() {
    // The second is what docs/sign-in-runbook.md has an account disabled with.
    debianProgram('slapd', 'slapd', 'ldap-utils')
    return {
      program: deployFile('ldap/start-slapd.sh'),
      args: [join(runFolder, 'openldap'), `ldap://127.0.0.1:${port}/`],
    }
  },
  exports: () => ({ LDAP_URL: `ldap://127.0.0.1:${port}`, LDAP_DIRECTORY_PASSWORD: directoryPassword }),
}
