import { useSyncExternalStore } from 'react';

// As much of a router as two pages need.
export function goTo(path) {
  window.history.pushState(null, '', path);
  window.dispatchEvent(new PopStateEvent('popstate'));
}

export function usePath() {
  return useSyncExternalStore(
    (changed) => {
      window.addEventListener('popstate', changed);
      return () => window.removeEventListener('popstate', changed);
    },
    () => window.location.pathname,
  );
}

/** What a link does instead of loading the page anew. */
export const follow = (event) => {
  event.preventDefault();
  goTo(event.currentTarget.pathname);
};
