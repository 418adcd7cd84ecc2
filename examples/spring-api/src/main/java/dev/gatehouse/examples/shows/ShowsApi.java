package dev.gatehouse.examples.shows;

import java.util.List;
import java.util.Map;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.context.annotation.Bean;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.http.SessionCreationPolicy;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.security.oauth2.core.OAuth2TokenValidator;
import org.springframework.security.oauth2.jose.jws.SignatureAlgorithm;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtClaimValidator;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtValidators;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;
import org.springframework.security.oauth2.jwt.SupplierJwtDecoder;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** The TV Shows API: a page for anybody, one for whoever is signed in, one for those with a permission. */
@SpringBootApplication
@RestController
public class ShowsApi {

	public static void main(String[] args) {
		SpringApplication.run(ShowsApi.class, args);
	}

	@GetMapping("/")
	String open() {
		return "Anyone may read this.\n";
	}

	@GetMapping("/me")
	Map<String, Object> me(@AuthenticationPrincipal Jwt token) {
		return Map.of("sub", token.getSubject(), "client_id", token.getClaimAsString("client_id"));
	}

	@GetMapping("/shows")
	List<String> shows() {
		return List.of("The Lighthouse Keepers", "Night Train to Brno", "Salt");
	}

	@Bean
	SecurityFilterChain security(HttpSecurity http) throws Exception {
		return http
			.authorizeHttpRequests(requests -> requests
				.requestMatchers("/").permitAll()
				.requestMatchers("/shows").hasAuthority("read:shows")
				.anyRequest().authenticated())
			.oauth2ResourceServer(server -> server.jwt(Customizer.withDefaults()))
			.sessionManagement(session -> session.sessionCreationPolicy(SessionCreationPolicy.STATELESS))
			.build();
	}

	/**
	 * Accepts access tokens as RFC 9068 has them, whose typ is at+jwt. The decoder that Spring Boot makes from its
	 * properties accepts typ JWT alone: it is the one for an API of the dialect auth0, which starts with
	 * {@code --dialect=auth0} and needs nothing of what follows. The keys are fetched when the first token comes.
	 */
	@Bean
	@ConditionalOnProperty(name = "dialect", havingValue = "rfc9068", matchIfMissing = true)
	JwtDecoder accessTokens(@Value("${issuer}") String issuer, @Value("${apis[0].audience}") String audience) {
		OAuth2TokenValidator<Jwt> rules = JwtValidators.createAtJwtValidator()
			.issuer(issuer)
			.audience(audience)
			.validators(all -> all.put("client_id", new JwtClaimValidator<String>("client_id", id -> id != null))) // of any client
			.build();
		return new SupplierJwtDecoder(() -> {
			NimbusJwtDecoder decoder = NimbusJwtDecoder.withIssuerLocation(issuer)
				.jwsAlgorithm(SignatureAlgorithm.ES256)
				.validateType(false) // the rules look at it
				.build();
			decoder.setJwtValidator(rules);
			return decoder;
		});
	}

}
