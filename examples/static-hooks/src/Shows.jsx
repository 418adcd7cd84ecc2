import React, { useEffect, useState } from 'react';
import { useAuth } from 'use-auth0-hooks';
import { config, scope } from '../../static/config.js';
import { fetchShows } from '../../static/shows.js';

/** Calls the API as the package's own documentation does. It does not get there: see the README. */
export function Shows() {
  const { accessToken, error } = useAuth({ audience: config.audience, scope });
  const [answer, setAnswer] = useState({});

  useEffect(() => {
    if (accessToken) fetchShows(config.apiUrl, accessToken).then(setAnswer);
  }, [accessToken]);

  const problem = error?.message ?? answer.problem;
  if (problem) return <p className="bad" role="alert">{problem}</p>;
  return <ul>{answer.shows?.map(({ title, year }) => <li key={title}>{title} ({year})</li>)}</ul>;
}
