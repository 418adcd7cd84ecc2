import React from 'react';

/** Catches what the package throws while it renders, which would leave an empty page. */
export class UpstreamError extends React.Component {
  state = {};

  static getDerivedStateFromError(error) {
    return { error };
  }

  render() {
    const { error } = this.state;
    return error ? <p className="bad" role="alert">use-auth0-hooks stopped: {error.message}</p> : this.props.children;
  }
}
