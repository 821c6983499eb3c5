COPY users (id, instance_id, email) FROM :'file';
