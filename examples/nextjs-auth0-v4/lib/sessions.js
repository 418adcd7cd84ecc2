/**
 * The least that a session store can be. In production it is a table or Redis, with an index on sid and
 * on sub, so that the house can say "this session is over": /auth/backchannel-logout calls
 * deleteByLogoutToken.
 */
export function sessionStore() {
  // Middleware and pages are bundled apart but share the process.
  const sessions = (globalThis.sessions ??= new Map());
  return {
    get: async (id) => sessions.get(id) ?? null,
    set: async (id, session) => void sessions.set(id, session),
    update: async (id, session) => sessions.has(id) && Boolean(sessions.set(id, session)),
    delete: async (id) => void sessions.delete(id),
    async deleteByLogoutToken({ sid, sub }) {
      for (const [id, session] of sessions) {
        if (sid ? session.internal.sid === sid : session.user.sub === sub) sessions.delete(id);
      }
    },
  };
}
