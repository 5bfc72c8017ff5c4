/** What the pages that are made here have in common: colours, as those of the web application, and the card. */
export const pageStyle = `
  :root { color-scheme: light dark; --ink: #12262b; --paper: #f3f5f2; --card: #fdfefd; --line: #d3dcd9; --soft: #4a5f64;
    --accent: #0b5f58; --on-accent: #fff; --alert: #a11d2b; --alert-paper: #fdecee }
  @media (prefers-color-scheme: dark) { :root { --ink: #e3edea; --paper: #0d1517; --card: #152022; --line: #2b3a3c;
    --soft: #9db3b0; --accent: #6fd3c3; --on-accent: #06201d; --alert: #ffb3ba; --alert-paper: #3a1a20 } }
  * { box-sizing: border-box }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--paper);
    color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
  main { width: 100%; padding: 2rem; background: var(--card); border: 1px solid var(--line); border-radius: .75rem }
  .brand { margin: 0 0 1.5rem; color: var(--accent); font-weight: 700; letter-spacing: .02em }
  h1 { margin: 0 0 1rem; font-size: 1.5rem; line-height: 1.2 }
  :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
`
