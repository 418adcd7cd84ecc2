// A person with a browser that runs no scripts: it follows redirects, keeps cookies, and fills in the
// house's form. visit ends at the first address that is not the house's.

const entities = { '&amp;': '&', '&#34;': '"', '&#39;': "'", '&#43;': '+', '&lt;': '<', '&gt;': '>' }
const text = (html) => html.replace(/&(amp|lt|gt|#34|#39|#43);/g, (name) => entities[name])

export class Person {
  constructor(issuer, { email, password }) {
    Object.assign(this, { issuer, email, password, cookies: new Map() })
  }

  // visit returns where the browser was led to, and the form that it was to post there, if any.
  async visit(address) {
    let url = new URL(address), form
    for (let step = 0; step < 10; step++) {
      if (url.origin !== new URL(this.issuer).origin) return { url, form }
      const response = await fetch(url, {
        method: form ? 'POST' : 'GET', body: form, redirect: 'manual',
        headers: { cookie: [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      })
      for (const line of response.headers.getSetCookie()) {
        const [, name, value] = line.match(/^([^=]+)=([^;]*)/)
        if (value) this.cookies.set(name, value)
        else this.cookies.delete(name)
      }
      const page = await response.text()
      form = undefined
      if (response.headers.get('location')) {
        url = new URL(response.headers.get('location'), url)
        continue
      }
      const [, action, inside] = page.match(/<form[^>]*action="([^"]*)"[^>]*>([^]*?)<\/form>/) ?? []
      if (!action) throw new Error(`${response.status} at ${url}: ${page}`)
      form = new URLSearchParams()
      for (const [input] of inside.matchAll(/<input[^>]*>/g)) {
        form.set(text(input.match(/name="([^"]*)"/)[1]), text(input.match(/value="([^"]*)"/)?.[1] ?? ''))
      }
      if (form.has('password')) {
        form.set('email', this.email)
        form.set('password', this.password)
        form.set('action', 'sign_in')
      }
      url = new URL(text(action), url)
    }
    throw new Error(`led in circles, last to ${url}`)
  }
}
